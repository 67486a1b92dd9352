import type { FeatureView } from '../definitions/feature-view';
import { FeatureProfile, type ProfileParts } from './feature-profile';

/** What was served of one feature of one version of a view. */
export interface ProfileLine {
  readonly view: Pick<FeatureView, 'name' | 'hash' | 'freshnessSlo'>;
  readonly feature: string;
  readonly profile: FeatureProfile;
}

/** A line as it may be sent elsewhere. */
export interface ProfileLineParts extends Omit<ProfileLine, 'profile'> {
  readonly profile: ProfileParts;
}

/** One line a feature of a version, of many. */
export class ProfileLines {
  private readonly merged = new Map<string, ProfileLine>();

  get lines(): readonly ProfileLine[] {
    return [...this.merged.values()];
  }

  get parts(): readonly ProfileLineParts[] {
    return this.lines.map(({ view: { name, hash, freshnessSlo }, feature, profile }) => {
      const view = { name, hash, ...(freshnessSlo === undefined ? {} : { freshnessSlo }) };
      return { view, feature, profile: profile.parts };
    });
  }

  merge(line: ProfileLine): void {
    this.lineOf(line).profile.merge(line.profile);
  }

  take(line: ProfileLineParts): void {
    this.lineOf(line).profile.take(line.profile);
  }

  private lineOf({ view, feature }: Omit<ProfileLine, 'profile'>): ProfileLine {
    const key = `${view.hash} ${feature}`;
    const known = this.merged.get(key) ?? { view, feature, profile: new FeatureProfile() };
    this.merged.set(key, known);
    return known;
  }
}
