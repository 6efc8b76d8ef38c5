// Published as `qasphere-siem-forwarder/testing`, for the tests of plug-ins.

import { Secret } from '../lib/secret.ts';
import type { SinkPlugin } from '../sinks/plugin/api.ts';
import { PluginSink } from '../sinks/plugin/sink.ts';
import { startSimulator as start } from './simulator/server.ts';
import { sinkConformance as conformance, type TestRunner } from './sink-conformance.ts';

/** vitest runs the tests if it runs this file, else node:test does. */
const runner: TestRunner = process.env['VITEST'] === undefined ? await import('node:test') : await import('vitest');

export interface PluginUnderTest {
  readonly plugin: SinkPlugin;
  /** Options as the plug-in's schema returns them. */
  readonly options: unknown;
  /** Everything that has arrived at the destination so far, in order: the text of each record. */
  received(): readonly string[] | Promise<readonly string[]>;
}

/** Registers the tests that the built-in sinks pass, for a plug-in and a destination that works. */
export function sinkConformance({ plugin, options, received }: PluginUnderTest): void {
  conformance(runner, {
    name: plugin.meta.name,
    async start() {
      const before = (await received()).length;
      let texts: readonly string[] = [];
      return {
        arrivals() {
          const result = received();
          if ('then' in result)
            void result.then((now) => {
              texts = now;
            });
          else texts = result;
          return texts.slice(before).map((text) => ({ text, isStatus: text.includes('{"forwarder":{') }));
        },
        async [Symbol.asyncDispose]() {},
      };
    },
    open: (_, deps) => {
      const json = new Secret(JSON.stringify(options) ?? '');
      return new PluginSink({ origin: '', plugin, options: json, value: () => options, secrets: [] }, deps);
    },
    arrivals: (destination) => destination.arrivals(),
  });
}

export interface SimulatorOptions {
  /** Events that exist at the start; default 1000. */
  readonly events?: number;
  /** New events per second; default 0. */
  readonly rate?: number;
  /** API key to accept. */
  readonly key: string;
}

export interface RunningSimulator extends AsyncDisposable {
  /** For `source.url`. */
  readonly url: string;
}

/** Starts QA Sphere's audit-log API with generated events, on a free port of loopback. */
export function startSimulator(options: SimulatorOptions): Promise<RunningSimulator> {
  return start(options);
}
