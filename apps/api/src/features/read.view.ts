import { instantText, type Explanation } from '@sibyl/features';
import { reasonsOf } from './read-reasons';

type Explained = Explanation['steps'][number];

export function toExplanationView({ at, feature, steps, unread, unsettled }: Explanation): Record<string, unknown> {
  const reasons = reasonsOf({ unread, unsettled });
  const degraded = reasons.length > 0 && { degraded: { reasons } };
  return { as_of: instantText(at), feature, steps: steps.map(toStepView), ...degraded };
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
