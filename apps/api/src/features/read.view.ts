import { instantText, type ExplainedMember } from '@sibyl/features';
import { setText } from './read-account';
import { reasonsOf } from './read-reasons';

type Explained = ExplainedMember['steps'][number];

export function toExplanationView(explained: ExplainedMember): Record<string, unknown> {
  const { at, feature, steps, served, unread, unsettled } = explained;
  const reasons = reasonsOf({ unread, unsettled });
  const degraded = reasons.length > 0 && { degraded: { reasons } };
  const policy = served && { served: toServedView(served) };
  return { as_of: instantText(at), feature, ...policy, steps: steps.map(toStepView), ...degraded };
}

function toServedView({ set, member, row }: NonNullable<ExplainedMember['served']>): Record<string, unknown> {
  const { name, default: fallback } = member;
  const { values, statuses, sources } = row;
  return {
    ...{ set: setText(set), name, value: values[0], status: statuses[0], source: sources[0] },
    ...{ on_missing: set.onMissing, on_stale: set.onStale },
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function toStepView({ outputs, events, tiles, ...step }: Explained): Record<string, unknown> {
  return {
    ...step,
    outputs: outputs.map(({ eventTime, ...output }) => ({
      ...output,
      ...(eventTime === undefined ? {} : { event_time: instantText(eventTime) }),
    })),
    ...(events && {
      events: events.map(({ eventId, eventTime, ingestedAt, inputs, counts }) => ({
        event_id: eventId,
        event_time: instantText(eventTime),
        ingested_at: instantText(ingestedAt),
        inputs,
        ...(counts === undefined ? {} : { counts }),
      })),
    }),
    ...(tiles && { tiles: tiles.map(instantText) }),
  };
}
