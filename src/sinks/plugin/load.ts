import { readFileSync } from 'node:fs';
import { createRequire, registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import * as vm from 'node:vm';
import { fileProblem } from '../../lib/options/values.ts';
import { printable } from '../../lib/printable.ts';
import { Secret } from '../../lib/secret.ts';
import type { LoadContext, LoadedOptions, LoadProblem } from '../definition.ts';
import type { SinkPlugin } from './api.ts';
import { contract } from './contract.ts';
import type { PluginOptions } from './options.ts';

/** What plug-ins import from us comes from us, also where our package is not installed: beside the image or the single file. */
const published = 'qasphere-siem-forwarder/sink';
const publishedSource = `export const defineSink = ({ secrets = [], confirmWithin = 60000, ...rest }) => ({ contract: ${contract}, secrets, confirmWithin, ...rest, open: (options, deps) => rest.open(options, deps) });`;

/**
 * Imports a module of another place. A plain `import()` fails in a single executable, which knows only its own modules; this
 * one uses Node's loader everywhere (Node.js, "vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER").
 */
function importModule(url: string): Promise<{ readonly default?: unknown }> {
  const load = vm.runInThisContext('(url) => import(url)', {
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }) as (url: string) => Promise<{ readonly default?: unknown }>;
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === published
        ? { url: `data:text/javascript,${encodeURIComponent(publishedSource)}`, shortCircuit: true }
        : next(specifier, context),
  });
  return load(url).finally(() => hooks.deregister());
}

/** The plug-in of a sink with its validated options, or what is wrong with them. */
export async function loadPlugin(
  { use, options }: PluginOptions,
  { directory, pluginDirectories, timeoutMs }: LoadContext,
): Promise<LoadedOptions | LoadProblem[]> {
  const path = resolvePlugin(use, directory, pluginDirectories);
  if (path === undefined) {
    const places = [directory, ...pluginDirectories].map((place) => printable(place, 200)).join(', ');
    return [{ path: ['use'], message: `is found neither in ${places}: install it there, or correct the name` }];
  }
  let module: { readonly default?: unknown };
  try {
    module = await within(timeoutMs, importModule(pathToFileURL(path).href));
  } catch (error) {
    return [{ path: ['use'], message: `can't be loaded: ${errorLine(error)}` }];
  }
  const plugin = module.default as Partial<SinkPlugin> | undefined;
  const problem = pluginProblem(plugin);
  if (problem !== undefined) return [{ path: ['use'], message: problem }];
  return validOptions(plugin as SinkPlugin, JSON.parse(options.reveal()) as Record<string, unknown>, {
    origin: originOf(path, use),
    timeoutMs,
  });
}

/** @throws if it takes longer, or what the promise is rejected with */
async function within<T>(ms: number, work: T | Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`not done within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function pluginProblem(plugin: Partial<SinkPlugin> | undefined): string | undefined {
  if (typeof plugin !== 'object' || plugin === null) return 'has no default export made by defineSink';
  if (plugin.contract !== contract)
    return `has contract ${printable(String(plugin.contract), 20)}, this forwarder has contract ${contract}: install a version for it`;
  const isComplete =
    typeof plugin.open === 'function' &&
    typeof plugin.options?.['~standard']?.validate === 'function' &&
    typeof plugin.meta?.name === 'string' &&
    typeof plugin.meta.version === 'string' &&
    Array.isArray(plugin.secrets) &&
    plugin.secrets.every((name) => typeof name === 'string') &&
    Number.isFinite(plugin.confirmWithin) &&
    Number(plugin.confirmWithin) >= 1;
  return isComplete ? undefined : 'is no plug-in: its default export must be made by defineSink';
}

/** A package is all in its folder; a file stands among files of others. */
function originOf(path: string, use: string): string {
  if (use.startsWith('.') || use.startsWith('/')) return path;
  const at = path.lastIndexOf(`/${use}/`);
  return at === -1 ? path : path.slice(0, at + use.length + 2);
}

/** Reads the files of secrets, then validates by the plug-in's schema. */
async function validOptions(
  plugin: SinkPlugin,
  given: Record<string, unknown>,
  { origin, timeoutMs }: { readonly origin: string; readonly timeoutMs: number },
): Promise<LoadedOptions | LoadProblem[]> {
  const options = { ...given };
  const secrets: Secret[] = [];
  for (const name of plugin.secrets) {
    const file = options[`${name}File`];
    if (typeof file === 'string') {
      if (options[name] !== undefined)
        return [{ path: ['options', `${name}File`], message: `set ${name} or ${name}File, not both` }];
      try {
        options[name] = readFileSync(file, 'utf8')
          .replace(/^\ufeff/, '')
          .trim();
      } catch (error) {
        return [{ path: ['options', `${name}File`], message: `the file ${fileProblem(error)}` }];
      }
      Reflect.deleteProperty(options, `${name}File`);
    }
    if (typeof options[name] === 'string') secrets.push(new Secret(options[name]));
  }
  try {
    const result = await within(timeoutMs, plugin.options['~standard'].validate(options));
    if (result.issues === undefined) {
      const { value } = result;
      return { origin, plugin, options: new Secret(JSON.stringify(value) ?? ''), value: () => value, secrets };
    }
    return result.issues.map(({ message, path = [] }) => ({
      path: [
        'options',
        ...path
          .map((step) => (typeof step === 'object' ? step.key : step))
          .map((step) => (typeof step === 'number' ? step : String(step))),
      ],
      message: masked(printable(message, 300), secrets),
    }));
  } catch (error) {
    return [{ path: ['options'], message: `the plug-in's schema fails: ${masked(errorLine(error), secrets)}` }];
  }
}

const masked = (text: string, secrets: readonly Secret[]) =>
  secrets.reduce(
    (line, secret) => (secret.reveal() === '' ? line : line.replaceAll(secret.reveal(), '[secret]')),
    text,
  );

/** The file of a module: beside the configuration, then in the folders for plug-ins. */
function resolvePlugin(use: string, directory: string, pluginDirectories: readonly string[]): string | undefined {
  const isPath = use.startsWith('.') || use.startsWith('/');
  const from = (place: string, request: string): string | undefined => {
    try {
      return createRequire(join(place, 'resolve.js')).resolve(request);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      return importOnly(place, request);
    }
  };
  const beside = from(directory, use);
  if (beside !== undefined || isPath) return beside;
  for (const place of pluginDirectories) {
    const found = from(place, `./${use}`) ?? from(place, use);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A package whose `exports` have only the condition `import`, which `require.resolve` does not know. */
function importOnly(place: string, request: string): string | undefined {
  const folders = createRequire(join(place, 'resolve.js')).resolve.paths(request) ?? [];
  for (const base of [place, ...folders].map((folder) => join(folder, request))) {
    const text = textOf(join(base, 'package.json'));
    const { exports, main } = membersOf(text);
    const root = typeof exports === 'object' && exports !== null && '.' in exports ? exports['.'] : exports;
    const entry = entryOf(root) ?? (typeof main === 'string' ? main : undefined);
    if (entry !== undefined) return join(base, entry);
  }
  return undefined;
}

/** The text of a file; undefined if it can't be read. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return undefined;
  }
}

/** The members of a package.json; none if it is no JSON object. */
function membersOf(text = 'null'): { readonly exports?: unknown; readonly main?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {};
  }
}

function entryOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const { import: byImport, node, default: byDefault } = value as Readonly<Record<string, unknown>>;
  return entryOf(byImport) ?? entryOf(node) ?? entryOf(byDefault);
}

/** Calls no code of the error's own. */
const errorLine = (error: unknown) =>
  printable(error instanceof Error ? `${error.message}` : inspect(error, { customInspect: false, depth: 0 }), 300);
