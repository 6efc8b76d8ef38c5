import * as z from 'zod';
import { runEvenIfInvalid } from '../../lib/options/values.ts';
import { Secret } from '../../lib/secret.ts';
import { checkRecords, entry } from '../common-options.ts';
import type { LoadedOptions } from '../definition.ts';

/** Configuration of a `plugin` sink. Which options may be shown, only the plug-in knows, so none is. */
export const pluginOptions = entry('plugin')
  .extend({
    use: z
      .string()
      .min(1)
      .regex(/^[^\0]+$/, 'must be the name of a package or a path')
      .describe('Package, or path of a module that starts with ./ or /.'),
    options: z.record(z.string(), z.unknown()).default({}).describe('Validated by the plug-in’s own schema.'),
  })
  .superRefine(checkRecords, runEvenIfInvalid)
  .transform(({ options, ...rest }) => ({
    ...rest,
    options: new Secret(JSON.stringify(options)),
    loaded: undefined as LoadedOptions | undefined,
  }));

export type PluginOptions = z.infer<typeof pluginOptions>;
