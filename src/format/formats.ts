import { type Actions, createActions } from './actions.ts';
import { cefFormat } from './cef.ts';
import { ecsFormat } from './ecs.ts';
import type { Format, FormatContext } from './format.ts';
import { jsonFormat } from './json.ts';
import { leefFormat } from './leef.ts';
import { ocsfFormat } from './ocsf.ts';

export interface FormatOptions {
  /** With `json`: wrap the event as `{ tenant, receivedAt, event }`. */
  readonly envelope?: boolean;
  /** The meaning of actions; default: the built-in table. `json` does not use it. */
  readonly actions?: Actions;
}

type Make = (context: FormatContext, options: FormatOptions) => Format;

/** The one list of formats. */
const formats = {
  json: (context, { envelope }) => jsonFormat(context, envelope),
  cef: (context, { actions = createActions() }) => cefFormat(context, actions),
  leef: (context, { actions = createActions() }) => leefFormat(context, actions),
  ecs: (context, { actions = createActions() }) => ecsFormat(context, actions),
  ocsf: (context, { actions = createActions() }) => ocsfFormat(context, actions),
} as const satisfies Readonly<Record<string, Make>>;

export type FormatName = keyof typeof formats;
export const formatNames = Object.keys(formats) as readonly FormatName[];

/** One format serves a whole pipeline. */
export function createFormat(name: FormatName, options: FormatOptions, context: FormatContext): Format {
  const make: Make = formats[name];
  return make(context, options);
}
