import { isDeepStrictEqual } from 'node:util';
import { Mutations } from '../../../../test/support/lane-mutations';
import { LaneServer } from '../../../../test/support/lane-server';

describe('the same bytes with lanes and without', () => {
  const SEED = 1;
  const CASES = 1_500;
  const AT_ONCE = 10;

  it('have the same answers and the same end', async () => {
    const servers = [await new LaneServer().start(), await new LaneServer({}, false).start()] as const;
    const mutations = new Mutations(SEED);
    const run = async (server: LaneServer, pieces: readonly string[]): Promise<unknown> => {
      const client = await server.connect();
      await client.send(...pieces);
      client.socket.destroy();
      return { ended: client.ended, answers: client.answers };
    };
    const differences: unknown[] = [];
    for (let i = 0; i < CASES; i += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          const pieces = mutations.next();
          const [lanes, node] = await Promise.all([run(servers[0], pieces), run(servers[1], pieces)]);
          if (!isDeepStrictEqual(lanes, node)) differences.push({ pieces, lanes, node });
        }),
      );
    }
    await Promise.all(servers.map((server) => server.stop()));
    // Most requests went by the lanes, or nothing was compared.
    expect(servers[0].nodeSaw.length).toBeLessThan(servers[1].nodeSaw.length * 0.6);
    expect(differences).toEqual([]);
  }, 120_000);
});
