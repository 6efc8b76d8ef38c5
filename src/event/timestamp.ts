const form =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)?)?$/;

const latestMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Milliseconds since the epoch of an ISO 8601 date or date and time (RFC 3339 section 5.6 and the looser forms that
 * databases write); undefined if it is unreadable. A time without a zone is UTC, whatever the host's zone is. A date or
 * time that does not exist is unreadable, leap seconds included (RFC 5424 forbids them). So is a time before 1970 (zero
 * values such as Go's 0001-01-01) or after 9999, which not every format can write. Fractions beyond milliseconds are cut
 * off.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = '', sign, zoneHour = 0, zoneMinute = 0] =
    match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (Number(zoneHour) > 23 || Number(zoneMinute) > 59) return undefined;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const found = new Date(date);
  // Date.UTC turns 30 February into 2 March, and year 70 into 1970.
  if (found.getUTCDate() !== Number(day) || found.getUTCMonth() !== Number(month) - 1) return undefined;
  if (found.getUTCFullYear() !== Number(year)) return undefined;
  const seconds = (Number(hour) * 60 + Number(minute)) * 60 + Number(second);
  const zoneMinutes = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === '-' ? -1 : 1);
  const ms = date + seconds * 1000 - zoneMinutes * 60_000 + Number(fraction.slice(0, 3).padEnd(3, '0'));
  return ms >= 0 && ms <= latestMs ? ms : undefined;
}
