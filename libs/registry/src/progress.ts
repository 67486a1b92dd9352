/** Told how far long work is: steps or bytes done, of how many, and what it is busy with. */
export type OnProgress = (done: number, total: number, what: string) => void;
