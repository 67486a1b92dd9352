import { Redis } from 'ioredis';
import type { FeatureValue } from '../feature-value';
import type { Micros } from '../time';
import type { EventListener, TakenEvent } from './feature-event';

export interface FanOutParts {
  readonly url: string;
  /** Of the installation, so that several can share a Redis. */
  readonly channel: string;
  readonly writer: string;
  readonly listeners: readonly EventListener[];
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void };
}

const EVENTS_EACH = 500;
/** Messages that Redis has not taken yet; what comes then is left to the others to find. */
const UNDER_WAY = 256;
const CONNECT_MS = 1_000;
const RETRY_MS = 1_000;
const MESSAGE_CHARACTERS = 16 * 1024 * 1024;
/** Commits of others of which all events came. */
const COMMITS = 10_000;

type Wire = [string, string, Micros, string, Micros, Micros, boolean, FeatureValue[]];

interface Message {
  readonly writer: string;
  /** The transaction, and how many events it has. */
  readonly commit: string;
  readonly total: number;
  readonly events: readonly Wire[];
}

/**
 * Tells other processes of commits at once, through Redis. Nothing depends on it: what does not arrive is found in the log a
 * second later. It never waits, and what it cannot send it leaves out.
 */
export class RedisFanOut implements EventListener {
  private readonly publisher: Redis;
  private readonly subscriber: Redis;
  private underWay = 0;
  private isUp: boolean | undefined;
  private readonly counts = new Map<string, number>();

  constructor(private readonly parts: FanOutParts) {
    const options = {
      lazyConnect: true,
      connectTimeout: CONNECT_MS,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      retryStrategy: (attempt: number) => Math.min(attempt * 100, RETRY_MS),
    } as const;
    this.publisher = new Redis(parts.url, options);
    this.subscriber = new Redis(parts.url, options);
    this.publisher.on('error', (error) => this.turned(false, error));
    this.subscriber.on('error', (error) => this.turned(false, error));
    this.publisher.on('ready', () => this.turned(true));
    // After each reconnect anew: without an offline queue the library does not do it by itself in time.
    this.subscriber.on('ready', () => void this.subscriber.subscribe(parts.channel).catch(() => undefined));
    this.subscriber.on('message', (_channel, text) => this.hear(text));
  }

  /** Connects without waiting; it tries again for ever. */
  start(): void {
    for (const one of [this.publisher, this.subscriber]) one.connect().catch(() => undefined);
  }

  stop(): void {
    for (const one of [this.publisher, this.subscriber]) one.disconnect();
  }

  /** Whether all events of a commit have come this way. */
  readonly knows = (commit: string): boolean => this.counts.get(commit) === 0;

  taken(events: readonly TakenEvent[], commit = ''): void {
    for (let i = 0; i < events.length; i += EVENTS_EACH) {
      if (this.publisher.status !== 'ready' || this.underWay >= UNDER_WAY) return;
      const part = events.slice(i, i + EVENTS_EACH).map(wireOf);
      const message: Message = { writer: this.parts.writer, commit, total: events.length, events: part };
      this.underWay++;
      this.publisher
        .publish(this.parts.channel, JSON.stringify(message))
        .catch(() => undefined)
        .finally(() => this.underWay--);
    }
  }

  private hear(text: string): void {
    const message = readMessage(text);
    if (!message || message.writer === this.parts.writer) return;
    const events = message.events.map(eventOf);
    for (const listener of this.parts.listeners) listener.taken(events);
    const { commit, total } = message;
    this.counts.set(commit, (this.counts.get(commit) ?? total) - events.length);
    const [oldest] = this.counts.keys();
    if (this.counts.size > COMMITS && oldest !== undefined) this.counts.delete(oldest);
  }

  private turned(isUp: boolean, error?: unknown): void {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    if (isUp) this.parts.log.info({}, 'events are fanned out through Redis');
    else this.parts.log.warn({ err: error }, 'Redis cannot be reached: other processes see events a second later');
  }
}

function wireOf({ stream, entity, eventTime, eventId, ingestedAt, previous, logOnly, values }: TakenEvent): Wire {
  return [stream, entity, eventTime, eventId, ingestedAt, previous, logOnly, values as FeatureValue[]];
}

function eventOf([stream, entity, eventTime, eventId, ingestedAt, previous, logOnly, values]: Wire): TakenEvent {
  return { stream, entity, eventTime, eventId, ingestedAt, previous, logOnly, values };
}

/** Undefined for what this system would not send. */
function readMessage(text: string): Message | undefined {
  if (text.length > MESSAGE_CHARACTERS) return undefined;
  try {
    const message = JSON.parse(text) as Message;
    return Array.isArray(message.events) && message.events.every(isWire) ? message : undefined;
  } catch {
    return undefined;
  }
}

const TYPES = ['string', 'string', 'number', 'string', 'number', 'number', 'boolean'];

function isWire(given: unknown): given is Wire {
  return (
    Array.isArray(given) && TYPES.every((type, i) => typeof given[i] === type) && Array.isArray(given[TYPES.length])
  );
}
