import {
  formatDuration,
  instantText,
  type FoundDefinition,
  type NamedDefinition,
  type Publication,
  type Published,
  type ViewSummary,
} from '@sibyl/features';
import { toActorView } from '../models/model.view';

type Members = NonNullable<Published['members']>;

export function toPublishedView(published: Published, dryRun: boolean): Record<string, unknown> {
  const { name, hash, previous, unchanged, diff, lineage, lowered, summary, members } = published;
  return {
    name,
    hash,
    ...(previous === undefined ? {} : { previous_hash: previous }),
    unchanged,
    dry_run: dryRun,
    ...(diff === undefined ? {} : { diff }),
    lineage,
    ...(lowered.length === 0 ? {} : { warnings: lowered.map(toWarning) }),
    ...toContentView(summary, members),
  };
}

/** What is lost by a publication. */
function toWarning(lowered: Published['lowered'][number]): Record<string, unknown> {
  const { pointer, stream, from, to, goneBefore, affects } = lowered;
  const before = instantText(goneBefore);
  return {
    ...{ pointer, code: 'retention_lowered', stream, from: formatDuration(from), to: formatDuration(to) },
    gone_before: before,
    ...(affects.length > 0 && { affects }),
    detail:
      `Once this is published the view reads no events of stream '${stream}' from before ${before}. Views that name the stream with ` +
      "'of' and versions that sets pin read them on, until their parts of the log are dropped. Then they are gone: a retention that " +
      'is raised in time still finds them, one that is raised later does not bring them back.',
  };
}

export function toDefinitionView(found: FoundDefinition): Record<string, unknown> {
  return {
    ...toHeadView(found),
    current: found.current,
    document: found.document,
    ...toContentView(found.summary, found.members),
    publications: found.history.map(({ revision, hash, at, actor }) => ({
      revision,
      ...(hash === undefined ? {} : { hash }),
      at,
      by: toActorView(actor),
    })),
  };
}

export function toDefinitionListView(all: readonly NamedDefinition[]): Record<string, unknown> {
  return { items: all.map(toHeadView) };
}

function toHeadView({ name, hash, publishedAt, publishedBy }: NamedDefinition): Record<string, unknown> {
  return { name, hash, published_at: publishedAt, published_by: toActorView(publishedBy) };
}

function toContentView(summary: ViewSummary | undefined, members: Members | undefined): Record<string, unknown> {
  return {
    ...(summary === undefined
      ? {}
      : {
          outputs: summary.outputs,
          history: summary.history.map(({ stream, events, span }) => ({ stream, events, span_seconds: span / 1e6 })),
        }),
    ...(members === undefined
      ? {}
      : {
          members: members.map(({ name, view, viewHash, feature, type }) => ({
            name,
            view,
            view_hash: viewHash,
            feature,
            type,
          })),
        }),
  };
}

export function toDeletedView(name: string, { at }: Publication): Record<string, unknown> {
  return { name, deleted_at: at };
}
