import type * as z from 'zod';
import type { Finding } from '../lib/finding.ts';
import type { Secret } from '../lib/secret.ts';
import type { CommonOptions } from './common-options.ts';
import type { SinkPlugin } from './plugin/api.ts';
import type { ProofOfDelivery, Sink, SinkDeps } from './sink.ts';

/** How environment variables alone configure a sink. Any one of the variables adds the sink. */
export interface EnvironmentMapping {
  /** Name of the sink that the variables add. */
  readonly name: string;
  /** Key of the sink's entry by variable, for example `SPLUNK_HEC_URL: 'url'`. */
  readonly variables: Readonly<Record<string, string>>;
  /** The systemd credential that serves as the file of the secret `key` if neither `key` nor `keyFile` is set. */
  readonly credential?: { readonly name: string; readonly key: string };
  /** This sink is used if no variable of any sink is set. One definition has it. */
  readonly fallback?: true;
}

/** The words of a sink's options that `check` uses in its remedies. */
export interface CheckTerms {
  /** What the probe verifies: the token, the connection. Names the finding. */
  readonly probe: string;
  /** The option that says where the sink delivers to. */
  readonly address: string;
  /** The options that identify us and the other side. */
  readonly credentials: string;
}

/** Where code that a configuration names is looked for. */
export interface LoadContext {
  /** Of the configuration file. */
  readonly directory: string;
  readonly pluginDirectories: readonly string[];
  /** Longest wait for code that is loaded, milliseconds: while it loads, nothing starts and no reload is done. */
  readonly timeoutMs: number;
}

/** A mistake in one entry of `sinks`; the path begins in the entry. */
export interface LoadProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A plug-in and its validated options. */
export interface LoadedOptions {
  /** Its module, or the folder of its package: what begins so in a stack is its code. */
  readonly origin: string;
  readonly plugin: SinkPlugin;
  /** As JSON, to compare two configurations. */
  readonly options: Secret;
  /** As the plug-in's schema returned them. A function, so that they do not print. */
  readonly value: () => unknown;
  /** Texts that must not be shown. */
  readonly secrets: readonly Secret[];
}

/** What the check of a sink gets. */
export interface CheckDeps extends Pick<SinkDeps, 'name' | 'version' | 'env' | 'now'> {
  /** Aborts the check. */
  readonly signal: AbortSignal;
  /** The name of a finding about this sink: `splunk: health`. */
  label(what: string): string;
  /** Probes the opened sink (`Sink.probe`) and reports the result. */
  probe(): Promise<Finding>;
}

/**
 * Everything the program asks of a kind of sink. The configuration schema, the environment mapping, `check`, `status`,
 * the warnings at start and the reference in the docs are derived from the list of definitions in registry.ts.
 */
export interface SinkDefinition<Options extends CommonOptions = CommonOptions> {
  /** Value of `type` in the configuration: `splunk-hec`. */
  readonly type: string;
  /** Schema of one entry of `sinks`; built on `entry(type)`, with a title. */
  readonly options: z.ZodType<Options>;
  readonly environment?: EnvironmentMapping;
  readonly terms: CheckTerms;
  /** What "accepted" means. If only the running sink knows, the weakest meaning that these options allow. */
  proof(options: Options): ProofOfDelivery;
  /** Where the sink delivers to, for `status` and `check`; without secrets. */
  destination(options: Options): string;
  /** What two sinks must not share, in words: records would mix. Keys that are invalid may hold any value. */
  exclusive?(options: { readonly [key in keyof Options]?: unknown }): string | undefined;
  /** What to warn about at each start; one printable line each, without secrets and without the sink's name. */
  warnings?(options: Options): readonly string[];
  /** Loads code that the options name, when the configuration is read. The result becomes `loaded` of the options. */
  load?(options: Options, context: LoadContext): Promise<LoadedOptions | LoadProblem[]>;
  /** Opens the sink; sends nothing. @throws the error of a file that the options name */
  open(options: Options, deps: SinkDeps): Sink;
  /** Verifies the way to the destination; delivers nothing. Default: the probe alone. */
  check?(options: Options, deps: CheckDeps): AsyncIterable<Finding>;
}
