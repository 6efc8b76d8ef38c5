/** A target and the measured result. */
export interface Judgement {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly met: boolean;
  /** `met`, or `missed by` so much of the target. */
  readonly verdict: string;
}

interface Judged {
  readonly what: string;
  readonly value: number;
  readonly bound: readonly ['≥' | '≤' | '<', number];
  readonly unit?: string;
  /** Digits after the point. */
  readonly digits?: number;
  /** What the baseline reaches of the same. */
  readonly baseline?: number;
}

export function judge({ what, value, bound: [sign, bound], unit = '', digits = 0, baseline }: Judged): Judgement {
  const met = sign === '≥' ? value >= bound : sign === '≤' ? value <= bound : value < bound;
  const shown = (number: number) =>
    `${number.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })}${unit}`;
  const off = Math.abs(value - bound) / bound;
  const verdict = met ? 'met' : `missed by ${off < 0.01 ? '<1' : Math.round(off * 100)} %`;
  const measured = baseline === undefined ? shown(value) : `${shown(value)} (baseline ${shown(baseline)})`;
  return { what, wanted: `${sign} ${shown(bound)}`, measured, met, verdict };
}
