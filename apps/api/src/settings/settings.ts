import { DATA, SECURITY } from './data-settings';
import { HTTP } from './http-settings';
import { LINEAGE } from './lineage-settings';
import { MODELS, SERVING } from './model-settings';
import { OPERATION, PLACE } from './server-settings';

/** Every setting by the name that the code gives it; the documentation, `.env.example` and the reader are made from it. */
export const SETTING_GROUPS = {
  'Where it runs': PLACE,
  Data: DATA,
  Lineage: LINEAGE,
  'Keys and audit': SECURITY,
  'Models and their limits': MODELS,
  Predictions: SERVING,
  'Requests and their limits': HTTP,
  Operation: OPERATION,
} as const;

export const SETTINGS = {
  ...PLACE,
  ...DATA,
  ...LINEAGE,
  ...SECURITY,
  ...MODELS,
  ...SERVING,
  ...HTTP,
  ...OPERATION,
} as const;

/** The values of all settings. */
export type Settings = { readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]['parse']> };
