import type { Severity } from './vocabulary.ts';

/** CEF's scale is 0 to 10 (0-3 low, 4-6 medium, 7-8 high), LEEF's 1 to 10; ECS leaves it to the source. */
export const numericSeverity: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 8 };

/** OCSF `severity_id`. */
export const ocsfSeverity: Readonly<Record<Severity, number>> = { informational: 1, low: 2, medium: 3, high: 4 };
