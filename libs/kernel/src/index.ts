export { ERROR_CODES, errorSpec, type ErrorCode, type ErrorKind, type ErrorSpec } from './error-codes';
export { DomainError, invariant, type DomainErrorOptions, type FieldFault } from './domain-error';
export { IdSource, UuidV7Source, isUuid } from './ids';
export { Clock, SystemClock, timestamp } from './clock';
export { systemActor, type Actor } from './actor';
export { nearestWords } from './nearest';
export { SingleFlight } from './single-flight';
export { atomicWriteFile, syncFolder } from './files';
export { TURNS, type Pace } from './turns';
