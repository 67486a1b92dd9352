export { VALUE_STATUSES, VALUE_TYPES, type FeatureValue, type ValueStatus, type ValueType } from './feature-value';
export { PUSH_RESULTS, type PushResult } from './log/feature-event';
export { FeatureLog, type FeatureLogParts } from './log/feature-log';
export type { UploadFault, UploadOutcome } from './log/line-upload';
export type { PushedEvent } from './log/pushed-event';
export { CLOCK_SKEW_MS_MAX, LogOptions } from './log/log-options';
export { featureMigrations } from './migrations';
export { readDocuments } from './definitions/document-text';
export { DefinitionCompiler, type DefinitionKind, type ViewSummary } from './store/definition-compiler';
export type { NamedDefinition, Publication } from './store/definition-rows';
export { DefinitionSnapshot } from './store/definition-snapshot';
export { DefinitionStore, type FoundDefinition, type Published } from './store/definition-store';
export type { CacheCounter, CacheTier } from './engine/cache-counter';
export type { Frame } from './engine/frame';
export { readGiven } from './engine/given';
export { readInstant } from './log/instant';
export { placeOf } from './request-fault';
export { LogHistory } from './log/log-history';
export { entityKey } from './log/entity-key';
export { SetReads } from './serving/set-reads';
export { SelectedFrames } from './serving/selected-frames';
export type { OnlineAnswer, OnlineQuery, OnlineRow, PastMoment } from './engine/online-query';
export { Lineage, type LineageParts, type LineageQuery } from './lineage/lineage';
export { LineageFeed } from './lineage/lineage-feed';
export { FACT_SOURCES, LINEAGE_KINDS, type LineageGraph, type LineageNode } from './lineage/lineage-graph';
export { LineageOptions } from './lineage/lineage-options';
export { toMermaid } from './lineage/mermaid';
export { OpenLineage, type AliasMoved } from './lineage/open-lineage';
export { PredictionLineage } from './lineage/prediction-lineage';
export type { PredictionRecord, RecordedFeatures, RecordedStream } from './lineage/prediction-record';
export type { ConsumerRow } from './lineage/set-consumer';
export { StateStore } from './engine/state-store';
export { LiveReads } from './engine/live-reads';
export { PastReads } from './engine/past-reads';
export { RecentPast } from './engine/recent-past';
export { Settlement } from './log/settlement';
export { lackingInputs, lacksRequired } from './serving/request-inputs';
export { reachingBeyondRetention, retentionFault } from './serving/retention';
export { PastWalks } from './engine/past-walks';
export type { ExplainedMember } from './serving/explained-member';
export { FeatureReads, type ReadAnswer, type ReadRequest } from './serving/feature-reads';
export { LISTS, type AskedRow } from './serving/entity-rows';
export { ReadOptions } from './serving/read-options';
export type { RowOrigin } from './serving/row-origin';
export { COLD_ROW_MS, READ_TIERS } from './engine/online-query';
export { servedRow, type ServedRow } from './serving/served-row';
export { KeptByFrames } from './serving/kept-by-frames';
export {
  Selections,
  unknownView,
  VALUE_SOURCES,
  type SelectedMember,
  type Selection,
  type SetSelection,
} from './serving/selection';
export { formatDuration } from './definitions/duration';
export { instantText, type Micros } from './time';
export { FeastFacade } from './feast/feast-facade';
export { TRAINING_FORMATS, type TrainingFormat } from './training/training-columns';
export { TrainingFiles } from './training/training-files';
export { TrainingOptions } from './training/training-options';
export type { GivenRow } from './training/training-row';
export { TrainingSets, type TrainingPlan, type TrainingRequest, type TrainingResult } from './training/training-sets';
export { QUANTILES, type AgeSummary, type ProfileSummary } from './quality/feature-profile';
export { FeatureQuality } from './quality/feature-quality';
export type { ProfileLine, ProfileLineParts, ProfileLines } from './quality/profile-line';
export { mergeCounts, RuleTally, type RuleCount } from './rules/rule-tally';
export { Backfills, type BackfillResult } from './training/backfill';
export { PushToVisible } from './log/push-to-visible';
