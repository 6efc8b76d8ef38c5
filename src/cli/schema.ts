import { configJsonSchema } from '../config/json-schema.ts';
import type { Command } from './command.ts';
import { exitCode } from './exit-code.ts';

export const schemaCommand: Command = {
  summary: 'JSON Schema of the configuration on stdout',
  usage: '',
  flags: {},
  notes: 'For editors: # yaml-language-server: $schema=./config.schema.json',
  async run(_values, _positionals, cli) {
    await cli.print(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
    return exitCode.done;
  },
};
