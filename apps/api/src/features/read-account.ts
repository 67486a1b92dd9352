/** Hot path: what a read of now came to, for its event and for metrics. */
import type { Micros, ReadAnswer, Selection } from '@sibyl/features';
import type { Metrics } from '@sibyl/telemetry';
import type { RequestContext } from '../http/request-context';

/** Values of one read that metrics look at: of a larger one those of each row that comes after so many others. */
const SAMPLED = 500;

type Age = ReturnType<Metrics['features']['ageOf']>;

/** For the event of a read, what is read: a set or views, in the versions that are meant. */
export function noteSelection(context: RequestContext, selection: Selection, more: Record<string, unknown>): void {
  const { set, views } = selection;
  const named = views.map(({ view }) => view.name).join(',');
  context.resource = set ? { type: 'feature_set', id: set.name } : { type: 'feature_view', id: named.slice(0, 256) };
  context.changes = { ...(set ? { feature_set: setText(set) } : { views: viewTexts(selection) }), ...more };
}

export function setText({ name, hash }: NonNullable<Selection['set']>): string {
  return `${name}@${hash}`;
}

export function viewTexts({ views }: Selection): readonly string[] {
  return views.map(({ view }) => `${view.name}@${view.hash}`);
}

export class ReadAccount {
  private readonly ages = new WeakMap<Selection, readonly Age[]>();

  constructor(private readonly features: Metrics['features']) {}

  note(context: RequestContext, answer: ReadAnswer): void {
    noteSelection(context, answer.selection, { entities: answer.rows.length });
    this.count(answer);
  }

  private count({ selection, rows, at }: ReadAnswer): void {
    const ages = this.agesOf(selection);
    const stride = Math.max(1, Math.ceil((rows.length * ages.length) / SAMPLED));
    let [status, values] = ['', 0];
    for (let i = 0; i < rows.length; i += stride) {
      const { statuses = [], times = [] } = rows[i] ?? {};
      for (let k = 0; k < ages.length; k++) {
        // Mostly it is that of the value before.
        if (statuses[k] !== status) {
          if (values > 0) this.features.countStatus(status, values);
          [status, values] = [statuses[k] ?? '', 0];
        }
        values += stride;
        const age = (at - (times[k] as Micros)) / 1e6;
        if (!Number.isNaN(age)) ages[k]?.observe(Math.max(0, age));
      }
    }
    if (values > 0) this.features.countStatus(status, values);
  }

  private agesOf(selection: Selection): readonly Age[] {
    const known = this.ages.get(selection);
    if (known) return known;
    const { views, members } = selection;
    const made = members.map(({ view, feature }) => this.features.ageOf(views[view]?.view.name ?? '', feature));
    this.ages.set(selection, made);
    return made;
  }
}
