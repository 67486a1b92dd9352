import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { linearModel } from '@sibyl/onnx/testing';
import { modelPackage } from '../support/model-packages';
import { RecordedClient, type Reply } from '../support/recorded-client';
import { startServer, type TestServer } from '../support/server.mjs';

const VIEW = {
  kind: 'FeatureView',
  name: 'technical',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    {
      name: 'bars',
      identity: 'event_time',
      fields: { open: 'double', high: 'double', low: 'double', close: 'double', ok: 'bool' },
    },
    { name: 'profile', table: true, fields: { limit: 'double' } },
  ],
  features: [
    { name: 'price', op: 'last', input: 'bars.close' },
    { name: 'mean20', op: 'mean', input: 'bars.close', window: 20 },
    { name: 'sum_ok', op: 'sum', input: 'bars.open', window: '1h', where: 'ok' },
    { name: 'bars_1h', op: 'count', input: 'bars', window: '1h' },
    { name: 'quiet', op: 'time_since_last', input: 'bars', window: '1h' },
    { name: 'ratio', expr: 'price / mean20 + bars.high', dtype: 'double' },
    { name: 'cap', source: 'static', table: 'profile', field: 'limit' },
    { name: 'spread', source: 'request', dtype: 'double' },
  ],
};
const SET = {
  kind: 'FeatureSet',
  name: 'inputs',
  features: ['technical:ratio', { feature: 'technical:cap', name: 'limit' }],
};
/** Text that would end a label if it were let through. */
const ODD = {
  kind: 'FeatureView',
  name: 'odd',
  entity: { name: 'symbol', type: 'string' },
  streams: [{ name: 'odd_s', fields: { a: 'string' } }],
  features: [
    { name: 'a', op: 'last', input: 'a' },
    { name: 'x', expr: `a == "]\\"--> n0 <script>"`, dtype: 'bool' },
  ],
};

/** An OpenLineage server that says no the first time. */
async function lineageServer(): Promise<{ url: string; events: Body[]; stop: () => void; asked: () => number }> {
  const events: Body[] = [];
  let asked = 0;
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = `${request.url} ${request.headers.authorization}`;
      if (++asked > 1) events.push({ path, ...(JSON.parse(String(Buffer.concat(chunks))) as object) });
      response.writeHead(asked > 1 ? 201 : 503).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/base`, events, stop: () => server.close(), asked: () => asked };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Body = any;

describe('lineage of features', () => {
  let server: TestServer;
  let client: RecordedClient;
  let told: Awaited<ReturnType<typeof lineageServer>>;
  let version: string;

  beforeAll(async () => {
    told = await lineageServer();
    const env = {
      SIBYL_MODELS: '',
      OPENLINEAGE_URL: told.url,
      OPENLINEAGE_API_KEY: 'k',
      OPENLINEAGE_NAMESPACE: 'here',
    };
    server = await startServer({ env });
    client = new RecordedClient(server, 'lineage');
    const put = (path: string, body: unknown): Promise<Reply> => client.call('PUT', path, { body });
    const published = await put('/v1/features/views/technical', VIEW);
    expect(published).toMatchObject({ status: 200 });
    version = published.body.hash.slice(7, 19);
    expect(await put('/v1/features/views/odd', ODD)).toMatchObject({ status: 200 });
    expect(await put('/v1/features/sets/inputs', SET)).toMatchObject({ status: 200 });
    const model = modelPackage(linearModel({ weights: [[2, 3]], bias: [1] }), {
      name: 'liner',
      version: '1.0.0',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['ratio', 'limit'] }],
      features: [
        { name: 'ratio', datatype: 'FP32' },
        { name: 'limit', datatype: 'FP32' },
      ],
      feature_set: 'inputs',
    });
    const uploaded = await client.upload('liner', model);
    if (uploaded.status !== 201) throw new Error(uploaded.text);
    expect(await client.promote('liner', 'production', '1.0.0')).toMatchObject({ status: 200 });
  }, 90_000);
  afterAll(async () => {
    told.stop();
    await server.stop();
  }, 30_000);

  const lineage = (query: string): Promise<Reply> => client.get(`/v1/features/lineage?${query}`);
  const names = ({ body }: Reply, kind: string): string[] =>
    body.nodes.filter((node: Body) => node.kind === kind).map(({ name }: Body) => name);

  it('200: leads from a field through operators, features and sets to a model and its alias', async () => {
    const answer = await lineage('stream=bars');
    expect(answer.status).toBe(200);
    expect(names(answer, 'operator')).toEqual([
      'last(close)',
      'mean(close) window=20',
      'sum(open) window=1h where ok',
      'count(bars) window=1h',
      'time_since_last(bars) window=1h',
      'price / mean20 + bars.high',
    ]);
    const way = (from: string): string[] => [
      from,
      ...answer.body.edges.filter((edge: Body) => edge.from === from).flatMap(({ to }: Body) => way(to)),
    ];
    expect(way('field:bars.high')).toEqual([
      'field:bars.high',
      `operator:technical@${version}:ratio`,
      `feature:technical@${version}:ratio`,
      expect.stringMatching(/^set:inputs@[0-9a-f]{12}$/),
      'model:liner@1.0.0',
      'alias:liner:production',
    ]);
    expect(names(answer, 'field')).not.toContain('profile.limit');
  });

  it('200: a model comes from what its set needs, and from nothing else', async () => {
    const answer = await lineage('model=liner');
    expect(names(answer, 'feature')).toEqual([
      'technical:price',
      'technical:mean20',
      'technical:ratio',
      'technical:cap',
    ]);
    expect(names(answer, 'field').sort()).toEqual(['bars.close', 'bars.high', 'profile.limit']);
    expect(answer.body.edges).toContainEqual({
      from: `feature:technical@${version}:cap`,
      to: expect.stringMatching(/^set:/),
      as: 'limit',
    });
    for (const same of [`view=technical`, `view=technical@${version}`, 'set=inputs', 'model=liner@1.0.0'])
      expect(names(await lineage(same), 'model')).toEqual(['liner']);
  });

  it('200: says what breaks without a field, the condition of a window too, and what without a stream', async () => {
    const { body } = await lineage('impact=bars.close');
    expect(body.impact).toMatchObject({
      of: 'bars.close',
      features: [`technical:price@${version}`, `technical:mean20@${version}`, `technical:ratio@${version}`],
      models: ['liner@1.0.0'],
      aliases: ['liner:production'],
    });
    expect(body.impact.sets).toHaveLength(1);
    expect((await lineage('impact=bars.ok')).body.impact).toMatchObject({
      features: [`technical:sum_ok@${version}`],
      models: [],
    });
    expect((await lineage('impact=bars.low')).body).toMatchObject({ nodes: [], impact: { features: [], sets: [] } });
    expect((await lineage('impact=profile')).body.impact.models).toEqual(['liner@1.0.0']);
  });

  it('200: as a flowchart, in which an expression stays text', async () => {
    const { text, headers } = await lineage('format=mermaid');
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    expect(text).toMatch(/^flowchart LR\n {2}n0\[/);
    expect(text).toContain('("mean(close) window=20")');
    expect(text).not.toContain('<script>');
    for (const line of text.trimEnd().split('\n').slice(1))
      expect(line).toMatch(/^ {2}n\d+(?:[[({/]+"[^"<>]*"[\])}/]+| -->(?:\|"[^"<>]*"\|)? n\d+)$/);
  });

  it('200 to whoever takes text alone, as a flowchart; 406 as what is JSON', async () => {
    const path = '/v1/features/lineage';
    const ask = (query: string, accept: string): Promise<Reply> =>
      client.call('GET', `${path}${query}`, { headers: { accept } });
    const text = await ask('?format=mermaid', 'text/plain');
    expect([text.status, text.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
    for (const [query, accept] of [
      ['', 'text/plain'],
      ['?format=openlineage', 'text/plain'],
      ['?format=mermaid', 'text/html'],
    ] as const)
      expect(await ask(query, accept)).toMatchObject({ status: 406, body: { code: 'not_acceptable' } });
  });

  it('200: as events of OpenLineage with the lineage of columns', async () => {
    const { body } = await lineage('format=openlineage&model=liner');
    expect(body.events.map(({ job }: Body) => job.name)).toEqual([
      'feature_view.technical',
      'feature_set.inputs',
      'model.liner',
    ]);
    const { columnLineage } = body.events[0].outputs[0].facets;
    expect(columnLineage._schemaURL).toContain('/1-2-0/ColumnLineageDatasetFacet.json');
    const inputs = (name: string): string[] => columnLineage.fields[name].inputFields.map(textOf);
    const textOf = ({ name: dataset, field, transformations }: Body): string =>
      [`${dataset}.${field}`, ...transformations.map((how: Body) => `${how.type} ${how.subtype}`)].join(' ');
    expect(inputs('ratio')).toEqual(['stream.bars.close DIRECT AGGREGATION', 'stream.bars.high DIRECT TRANSFORMATION']);
    expect(inputs('sum_ok')).toEqual([
      'stream.bars.open DIRECT AGGREGATION',
      'stream.bars.ok INDIRECT FILTER',
      'stream.bars.event_time INDIRECT WINDOW',
    ]);
    // Of no field, but of when events were: columns that the stream has beside its fields.
    expect(inputs('bars_1h')).toEqual(['stream.bars.event_time INDIRECT WINDOW']);
    expect(inputs('quiet')).toEqual(['stream.bars.event_time DIRECT AGGREGATION INDIRECT WINDOW']);
    expect(columnLineage.dataset.map(textOf)).toEqual([
      'stream.bars.entity INDIRECT GROUP_BY',
      'stream.bars.event_time INDIRECT SORT',
      'stream.profile.entity INDIRECT GROUP_BY',
      'stream.profile.event_time INDIRECT SORT',
    ]);
    expect(body.events[0].inputs[0].facets.schema.fields.slice(0, 3)).toEqual([
      { name: 'entity', type: 'string' },
      { name: 'event_time', type: 'timestamp' },
      { name: 'close', type: 'double' },
    ]);
    expect(inputs('price')).toEqual(['stream.bars.close DIRECT IDENTITY']);
    expect(inputs('spread')).toEqual([]);
  });

  it('tells an OpenLineage server of each publication and promotion once, again where it was not heard, and nobody waits', async () => {
    for (let tries = 0; told.events.length < 4; tries++) {
      if (tries > 300) throw new Error('the server was not told');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(told.asked()).toBe(5);
    expect(told.events.map(({ path, job }) => [path, job.namespace, job.name])).toEqual([
      ['/base/api/v1/lineage Bearer k', 'here', 'feature_view.technical'],
      ['/base/api/v1/lineage Bearer k', 'here', 'feature_view.odd'],
      ['/base/api/v1/lineage Bearer k', 'here', 'feature_set.inputs'],
      ['/base/api/v1/lineage Bearer k', 'here', 'model_alias.liner.production'],
    ]);
    const facets = { version: { datasetVersion: '1.0.0' } };
    expect(told.events[3]).toMatchObject({
      eventType: 'COMPLETE',
      schemaURL: expect.stringMatching(/RunEvent$/),
      run: { runId: expect.stringMatching(/^[-0-9a-f]{36}$/), facets: { sibyl_promotion: { kind: 'move' } } },
      inputs: [{ name: 'prediction.liner', facets }],
      outputs: [{ name: 'model_alias.liner.production', facets }],
    });
    const { text } = await client.get('/metrics');
    expect(text).toContain('sibyl_lineage_events_total{outcome="sent"} 4');
  });

  it.each([
    ['view=unknown', 404, 'feature_view_not_found'],
    ['set=unknown', 404, 'feature_set_not_found'],
    ['stream=unknown', 404, 'stream_not_found'],
    ['model=unknown', 404, 'model_not_found'],
    ['impact=bars.unknown', 400, 'invalid_parameter'],
    ['impact=bars.close.more', 400, 'invalid_parameter'],
    ['impact=.', 404, 'stream_not_found'],
    ['view=technical&set=inputs', 400, 'invalid_parameter'],
    ['format=xml', 400, 'invalid_parameter'],
    ['hash=1', 400, 'unknown_field'],
  ])('%s: %d %s', async (query, status, code) => {
    expect(await lineage(query)).toMatchObject({ status, body: { code } });
  });
});
