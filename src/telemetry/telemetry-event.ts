import { catalog, type Entry } from './catalog.ts';

export type { LogLevel } from './catalog.ts';

export type EventName = keyof typeof catalog;
type MembersOf<N extends EventName> = (typeof catalog)[N] extends Entry<infer M> ? M : never;

/** The event of that name with its members. */
export type EventOf<N extends EventName> = { readonly event: N } & Readonly<MembersOf<N>>;

/** Everything that the source, a pipeline, a sink or the daemon reports. The catalog defines each event. */
export type TelemetryEvent = { [N in EventName]: EventOf<N> }[EventName];

/** Takes an event. It neither throws nor waits. */
export type Emit = (event: TelemetryEvent) => void;

/** Subscriptions by name; `Rest` are further arguments that each handler gets. */
export type Handlers<Rest extends readonly unknown[] = [], Result = void> = {
  readonly [N in EventName]?: (event: EventOf<N>, ...rest: Rest) => Result;
};

/** Calls the handler of `event`, if there is one. */
export function dispatch<Rest extends readonly unknown[], Result>(
  handlers: Handlers<Rest, Result>,
  event: TelemetryEvent,
  ...rest: Rest
): Result | undefined {
  const handler = handlers[event.event] as ((event: TelemetryEvent, ...rest: Rest) => Result) | undefined;
  return handler?.(event, ...rest);
}

/** The catalog's entry for an event of any kind. */
export function entryOf(event: TelemetryEvent): Entry<TelemetryEvent> {
  return catalog[event.event] as Entry<TelemetryEvent>;
}
