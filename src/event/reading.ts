/** Names for what is remarkable in an event; empty for nearly all. */
export type Remarks = readonly string[];

/** How much of an event's parsed value outlives the parsing of its page. */
export interface Reading {
  /** The whole value is kept: most events will be asked for it. */
  readonly keepValues?: boolean;
  /** User and address are: most events will be asked for these. */
  readonly keepParties?: boolean;
  /** Looks at each value while it is at hand; `createdAtMs` as the function of that name gives it. */
  readonly remark?: (value: Readonly<Record<string, unknown>>, createdAtMs: number | undefined) => Remarks;
}
