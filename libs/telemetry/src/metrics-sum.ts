import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';

/** A metric as a registry tells it to other processes. */
export interface MetricReading {
  readonly name: string;
  readonly help: string;
  /** prom-client writes `counter`, `gauge`, `histogram` or `summary`. */
  readonly type: unknown;
  readonly aggregator?: string;
  readonly values?: readonly { readonly value: unknown }[];
}

/**
 * The metrics of several processes as those of one. What a process said last stands for it while it does not answer, and its
 * counters go on standing after its end: a sum that falls would look to Prometheus like a restart, and be counted twice.
 */
export class MetricsSum {
  private readonly own = new Registry();
  private readonly last = new Map<object, readonly MetricReading[]>();
  private departed: readonly MetricReading[] = [];
  private readonly restarts: Counter;

  /** `running` tells how many processes take requests. */
  constructor(running: () => number) {
    const registers = [this.own];
    new Gauge({
      name: 'sibyl_workers',
      help: 'Workers that take requests',
      registers,
      collect(): void {
        this.set(running());
      },
    });
    this.restarts = new Counter({
      name: 'sibyl_worker_restarts_total',
      help: 'Workers that ended and were replaced',
      registers,
    });
  }

  /** What a process says now. */
  learn(process: object, readings: readonly MetricReading[]): void {
    this.last.set(process, readings.map(onlyNumbers));
  }

  /** A process has ended. */
  leave(process: object): void {
    this.restarts.inc();
    const counted = (this.last.get(process) ?? []).filter(({ type }) => type === 'counter' || type === 'histogram');
    this.last.delete(process);
    this.departed = aggregated([this.departed, counted]).getMetricsAsArray() as unknown as MetricReading[];
  }

  /** The sum, as a scraper reads it. */
  async text(): Promise<string> {
    return `${await aggregated([this.departed, ...this.last.values()]).metrics()}\n${await this.own.metrics()}`;
  }
}

function aggregated(processes: readonly (readonly MetricReading[])[]): Registry {
  return AggregatorRegistry.aggregate(processes.map((readings) => [...readings]));
}

/** JSON has no word for what is not a number yet, such as the mean of nothing. */
function onlyNumbers(reading: MetricReading): MetricReading {
  return { ...reading, values: (reading.values ?? []).filter(({ value }) => typeof value === 'number') };
}
