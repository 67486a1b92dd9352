/** Told how far long work is: steps done, of how many, and the name of the one that begins. */
export type OnProgress = (done: number, total: number, what: string) => void;
