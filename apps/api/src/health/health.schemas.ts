import { ANYTHING, listOf, object, text, truth, whole, type Schemas } from '../docs/schema';

export const HEALTH_SCHEMAS: Schemas = {
  Live: object({ live: truth(), status: text(), uptime_seconds: whole() }),
  Ready: object({ ready: truth(), status: text() }),
  ServedModels: object({ models: listOf(object({ name: text(), ready: truth() })) }),
  ReloadedModels: object({
    models: listOf(
      object({
        name: text(),
        ready: truth(),
        versions: listOf(
          object({
            version: text(),
            outcome: text(undefined, { enum: ['loaded', 'reloaded', 'kept', 'failed'] }),
            'reason?': text(),
          }),
        ),
      }),
    ),
  }),
  HealthReport: { ...ANYTHING, description: 'Numbers and states; more may be added.' },
};
