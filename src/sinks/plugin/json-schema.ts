import type { SinkConfig } from '../registry.ts';

/** What Standard JSON Schema adds to a Standard Schema (standardschema.dev). */
interface WithJsonSchema {
  readonly jsonSchema?: { readonly input?: (options: { readonly target: string }) => object };
}

/** JSON Schema of the options of each plug-in as they are written; any object if the plug-in's library has none. */
export function pluginSchemas(sinks: readonly SinkConfig[]): { readonly use: string; readonly options: object }[] {
  return sinks.flatMap((sink) => {
    if (!('use' in sink) || sink.loaded === undefined) return [];
    return [{ use: sink.use, options: schemaOf(sink.loaded.plugin.options['~standard'] as WithJsonSchema) }];
  });
}

function schemaOf({ jsonSchema }: WithJsonSchema): object {
  try {
    return jsonSchema?.input?.({ target: 'draft-2020-12' }) ?? anyObject;
  } catch {
    // Foreign code: libraries throw for what JSON Schema can't express.
    return anyObject;
  }
}

const anyObject = { type: 'object' };
