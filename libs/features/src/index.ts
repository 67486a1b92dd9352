export { VALUE_STATUSES, VALUE_TYPES, type FeatureValue, type ValueStatus, type ValueType } from './feature-value';
