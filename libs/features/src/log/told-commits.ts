import type { EventListener, TakenEvent } from './feature-event';

/** What comes twice does no harm: those that are forgotten are looked at once more. */
const COMMITS = 10_000;

/**
 * Commits of this process that its listeners were told of; it is the last of them. One of which the database never said that it
 * came to its end is not among them, and is found in the log like those of others.
 */
export class ToldCommits implements EventListener {
  private readonly commits = new Set<string>();

  taken(_events: readonly TakenEvent[], commit = ''): void {
    this.commits.add(commit);
    const [oldest] = this.commits;
    if (this.commits.size > COMMITS && oldest !== undefined) this.commits.delete(oldest);
  }

  has(commit: string): boolean {
    return this.commits.has(commit);
  }
}
