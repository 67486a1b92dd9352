import type { ApiConfig } from '../../config';

/** What a worker is given to begin with. */
export interface WorkerBegin {
  readonly kind: 'begin';
  readonly config: ApiConfig;
  /** 1 to `count`; the successor of a worker that ended has its number. */
  readonly index: number;
  readonly count: number;
  /** Whether the packages that the operator named are in the registry already. */
  readonly registered: boolean;
}

/** What workers say to each other without waiting for an answer, by way of the primary. */
export type Topic = 'limits' | 'registered' | 'adopt';

/** What they ask each other. */
export type Question =
  'flush' | 'keys' | 'follow' | 'warm' | 'load' | 'unload' | 'reload' | 'operation' | 'cancel' | 'quality' | 'metrics';

/** One worker's answer: what it came to, or why it came to nothing. */
export type Answer =
  | { readonly value?: unknown; readonly error?: undefined }
  | { readonly value?: undefined; readonly error: { readonly code: string; readonly detail: string } };

/** From the primary to a worker. */
export type ToWorker =
  | WorkerBegin
  | { readonly kind: 'connection' }
  | { readonly kind: 'ping' }
  | { readonly kind: 'drain'; readonly signal: NodeJS.Signals }
  | { readonly kind: 'tell'; readonly topic: Topic; readonly body: unknown }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question; readonly body: unknown }
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly Answer[] }
  | { readonly kind: 'scraped'; readonly id: number; readonly text: string };

/** From a worker to the primary. */
export type ToPrimary =
  | { readonly kind: 'open' | 'ready' }
  /** The connection that came last is the worker's own; so many are open. */
  | { readonly kind: 'accepted' | 'pong'; readonly connections: number }
  | { readonly kind: 'tell'; readonly topic: Topic; readonly body: unknown }
  | {
      readonly kind: 'ask';
      readonly id: number;
      readonly question: Question;
      readonly body: unknown;
      readonly limitMs: number;
    }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'scrape'; readonly id: number };
