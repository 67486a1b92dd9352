export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly state: string;
}

export declare function allProcesses(): ProcessFacts[];
/** The living descendants of a process and itself. */
export declare function processTree(root: number): (ProcessFacts & { readonly kind: 'api' | 'runner' | 'postgres' })[];
export declare function postmasterOf(root: number): ProcessFacts | undefined;
