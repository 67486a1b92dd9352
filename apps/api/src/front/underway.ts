/** Hot path. Requests that were admitted and have not reached the audit spool yet: its next write may wait for them. */
export class Underway {
  count = 0;
}
