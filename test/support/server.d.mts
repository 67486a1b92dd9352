export declare const REPOSITORY: string;
export declare function freePort(): Promise<number>;

export interface ServerOptions {
  /** Added to a clean environment (nothing but PATH, HOME and the like is taken over). */
  env?: Record<string, string>;
  /** Kept at the end; left out, a temporary folder that `stop()` removes. */
  dataDir?: string;
  /** Arguments of node itself, for profiling. */
  nodeArguments?: string[];
  readyTimeoutMs?: number;
}

export interface Answer<Body = unknown> {
  status: number;
  headers: Headers;
  /** Parsed where the answer is JSON, else its text. */
  body: Body;
}

export declare class TestServer {
  constructor(options: ServerOptions);
  readonly options: ServerOptions;
  readonly url: string;
  port: number;
  readonly pid: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Milliseconds from process start to ready. */
  readonly readyMs: number;
  readonly adminKey: string;
  readonly log: string;
  launch(): Promise<this>;
  ready(): Promise<number>;
  start(): Promise<this>;
  kill9(): Promise<void>;
  terminate(): Promise<{ code: number | null; signal: NodeJS.Signals | null; ms: number }>;
  stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null; ms: number }>;
  remove(): void;
  call<Body = unknown>(
    method: string,
    route: string,
    options?: {
      body?: unknown;
      /** Defaults to the admin key; `null` sends none. */
      key?: string | null;
      headers?: Record<string, string>;
      timeoutMs?: number;
    },
  ): Promise<Answer<Body>>;
}

/** Starts the built server in a folder of its own and waits until it is ready. */
export declare function startServer(options?: ServerOptions): Promise<TestServer>;
