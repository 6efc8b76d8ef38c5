import type { SinkDefinition } from '../definition.ts';
import { loadPlugin } from './load.ts';
import { type PluginOptions, pluginOptions } from './options.ts';
import { PluginSink } from './sink.ts';

export const plugin = {
  type: 'plugin',
  options: pluginOptions.meta({ title: 'A plug-in' }),
  terms: { probe: 'plug-in', address: 'use or options', credentials: 'options' },
  // What else its acceptance means, the plug-in alone knows.
  proof: () => 'stdout',
  destination: ({ use }) => use,
  load: loadPlugin,
  open: ({ loaded }, deps) => {
    if (loaded === undefined) throw new Error('the plug-in is not loaded');
    return new PluginSink(loaded, deps);
  },
} satisfies SinkDefinition<PluginOptions>;
