// util.time (handlers.md §4.3). Formats are patterns of Java's DateTimeFormatter with its English names and the week rules of the United
// States; zones are offsets or names. Times are milliseconds of the epoch throughout. A pattern is read into a list of steps that both
// write and parse.

(function (internal) {
  'use strict';

  const {
    Date, IntlDateTimeFormat, Map, Math, Number, Object, RegExp, String, dateNow, dateUtc, formatParts, matchOf, numberOf, textOf,
  } = internal;
  const { charge, fault } = internal.call;

  const { getUTCFullYear, getUTCMonth, getUTCDate, getUTCDay, setUTCFullYear, toISOString } = Date.prototype;
  const call = Function.prototype.call;
  const yearOf = call.bind(getUTCFullYear);
  const monthOf = call.bind(getUTCMonth);
  const dayOf = call.bind(getUTCDate);
  const weekdayOf = call.bind(getUTCDay);
  const setYear = call.bind(setUTCFullYear);
  const isoOf = call.bind(toISOString);

  const DAY_MS = 86400000;
  const HOUR_MS = 3600000;
  // What Date can hold, 100,000,000 days either way.
  const EPOCH_MS_MAX = 8.64e15;
  const CACHE_ENTRIES_MAX = 100;
  const PATTERN_LENGTH_MAX = 1000;

  const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
  const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
  const QUARTERS = ['1st quarter', '2nd quarter', '3rd quarter', '4th quarter'];
  const ERAS = ['Before Christ', 'Anno Domini'];

  const short = (names, length) => names.map((name) => name.slice(0, length));
  const MONTHS_SHORT = short(MONTHS, 3);
  const WEEKDAYS_SHORT = short(WEEKDAYS, 3);

  // The names of zones that texts in English carry; as in Java, they name the place's rules and not just the offset.
  const zoneOfName = {
    __proto__: null, Z: 'UTC', UT: 'UTC', UTC: 'UTC', GMT: 'UTC', EST: 'America/New_York', EDT: 'America/New_York',
    CST: 'America/Chicago', CDT: 'America/Chicago', MST: 'America/Denver', MDT: 'America/Denver',
    PST: 'America/Los_Angeles', PDT: 'America/Los_Angeles',
  };

  /** Milliseconds of a date and time in UTC; also for years below 100, which Date.UTC takes for others. */
  function epochMsOf(year, month, day, msOfDay) {
    const date = new Date(dateUtc(2000, month - 1, 1));
    const start = setYear(date, year, month - 1, day);
    return start + msOfDay;
  }

  const isLeapYear = (year) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const daysIn = (year, month) => (month === 2 ? (isLeapYear(year) ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31);

  // Zones

  const offsetPattern = new RegExp('^(?:UTC|GMT|UT)?(?:([+-])(\\d{1,2})(?::?(\\d{2})(?::?(\\d{2}))?)?)$');
  const zones = new Map();

  /**
   * @param {string} id an offset such as +08:00 or UTC+8, or a name such as Australia/Perth
   * @returns {{id: string, offsetMs: number, format: object|null}} format is null where the offset is always the same
   */
  function zoneOf(id) {
    const known = zones.get(id);
    if (known !== undefined) return known;
    let zone;
    const offset = matchOf(offsetPattern, id);
    if (offset !== null) {
      const ms = ((Number(offset[2]) * 60 + Number(offset[3] ?? 0)) * 60 + Number(offset[4] ?? 0)) * 1000;
      if (ms > 18 * HOUR_MS || Number(offset[3] ?? 0) > 59 || Number(offset[4] ?? 0) > 59) throw fault(`Invalid ID for a zone offset: ${id}`);
      zone = { id, offsetMs: offset[1] === '-' ? -ms : ms, format: null };
    } else if (zoneOfName[id] === 'UTC') {
      zone = { id, offsetMs: 0, format: null };
    } else {
      let format;
      try {
        format = new IntlDateTimeFormat('en-US', {
          timeZone: zoneOfName[id] ?? id, hourCycle: 'h23', era: 'short', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric',
          minute: 'numeric', second: 'numeric',
        });
      } catch {
        throw fault(`Unknown time-zone ID: ${id.slice(0, 100)}`);
      }
      zone = { id, offsetMs: 0, format };
    }
    if (zones.size >= CACHE_ENTRIES_MAX) zones.clear();
    zones.set(id, zone);
    return zone;
  }

  function offsetAt(zone, epochMs) {
    if (zone.format === null) return zone.offsetMs;
    charge(10);
    const fields = { __proto__: null };
    const parts = formatParts(zone.format, epochMs);
    for (let i = 0; i < parts.length; i++) fields[parts[i].type] = parts[i].value;
    const year = fields.era === 'BC' || fields.era === 'B' ? 1 - Number(fields.year) : Number(fields.year);
    const msOfDay = ((Number(fields.hour) * 60 + Number(fields.minute)) * 60 + Number(fields.second)) * 1000;
    return epochMsOf(year, Number(fields.month), Number(fields.day), msOfDay) - Math.floor(epochMs / 1000) * 1000;
  }

  /** The time at which a zone's clocks show a local time: the earlier one of two, and moved on by the gap where there is none. */
  function epochMsOfLocal(localMs, zone) {
    if (zone.format === null) return localMs - zone.offsetMs;
    const before = offsetAt(zone, localMs - DAY_MS);
    const after = offsetAt(zone, localMs + DAY_MS);
    const early = localMs - before;
    if (before === after || offsetAt(zone, early) === before) return early;
    const late = localMs - after;
    return offsetAt(zone, late) === after ? late : early;
  }

  function zoneName(zone, epochMs, style) {
    if (zone.format === null) return zone.id;
    charge(10);
    const format = new IntlDateTimeFormat('en-US', { timeZone: zoneOfName[zone.id] ?? zone.id, timeZoneName: style });
    const parts = formatParts(format, epochMs);
    for (let i = 0; i < parts.length; i++) {
      if (parts[i].type === 'timeZoneName') return parts[i].value;
    }
    return zone.id;
  }

  // Patterns

  const pad = (number, width) => String(number).padStart(width, '0');

  function offsetText(offsetMs, hasColon, minutes, zero) {
    if (offsetMs === 0 && zero !== null) return zero;
    const seconds = Math.abs(offsetMs) / 1000;
    const minute = Math.floor(seconds / 60) % 60;
    const second = seconds % 60;
    const colon = hasColon ? ':' : '';
    let text = `${offsetMs < 0 ? '-' : '+'}${pad(Math.floor(seconds / 3600), 2)}`;
    // minutes: 0 only where there are some, 1 always, 2 also seconds where there are some
    if (minutes > 0 || minute > 0) text += colon + pad(minute, 2);
    if (minutes === 2 && second > 0) text += colon + pad(second, 2);
    return text;
  }

  function localizedOffset(offsetMs, isFull) {
    if (offsetMs === 0) return 'GMT';
    const minutes = Math.abs(offsetMs) / 60000;
    const hour = Math.floor(minutes / 60);
    const minute = Math.floor(minutes) % 60;
    const sign = offsetMs < 0 ? '-' : '+';
    return isFull ? `GMT${sign}${pad(hour, 2)}:${pad(minute, 2)}` : `GMT${sign}${hour}${minute > 0 ? `:${pad(minute, 2)}` : ''}`;
  }

  /** The fields of a time in a zone, as far as patterns name them. */
  function fieldsOf(epochMs, zone) {
    const offsetMs = offsetAt(zone, epochMs);
    const local = epochMs + offsetMs;
    if (!(Math.abs(local) <= EPOCH_MS_MAX)) throw fault('The time is out of range');
    const date = new Date(local);
    const msOfDay = ((local % DAY_MS) + DAY_MS) % DAY_MS;
    const year = yearOf(date);
    return {
      epochMs, zone, offsetMs, year, month: monthOf(date) + 1, day: dayOf(date), weekday: weekdayOf(date), msOfDay,
      dayOfYear: Math.round((epochMsOf(year, monthOf(date) + 1, dayOf(date), 0) - epochMsOf(year, 1, 1, 0)) / DAY_MS) + 1,
      hour: Math.floor(msOfDay / HOUR_MS), minute: Math.floor(msOfDay / 60000) % 60, second: Math.floor(msOfDay / 1000) % 60,
      ms: msOfDay % 1000,
    };
  }

  const weekdayOfFirst = (year) => weekdayOf(new Date(epochMsOf(year, 1, 1, 0)));

  /** The year and number of a date's week, where weeks start on Sunday and the first is the one with January 1. */
  function weekOf(fields) {
    const week = Math.floor((fields.dayOfYear - 1 + weekdayOfFirst(fields.year)) / 7) + 1;
    const days = isLeapYear(fields.year) ? 366 : 365;
    if (week >= 53 && Math.floor((days - 1 + weekdayOfFirst(fields.year)) / 7) + 1 === week && weekdayOfFirst(fields.year + 1) !== 0) {
      return { year: fields.year + 1, week: 1 };
    }
    return { year: fields.year, week };
  }

  const hour12 = (hour) => (hour % 12 === 0 ? 12 : hour % 12);

  /** A number: how it is written, how many digits are read, and where it goes. */
  const numeric = (width, widthMax, get, set) => ({
    kind: 'number', width, widthMax, set,
    write: (fields) => {
      const value = get(fields);
      return (value < 0 ? '-' : '') + pad(Math.abs(value), width);
    },
  });

  const worded = (names, get, set) => ({ kind: 'text', names, set, write: (fields) => names[get(fields)] });
  const offsetStep = (write, form) => ({ kind: 'offset', form, write: (fields) => write(fields.offsetMs) });

  function yearStep(count, get, set) {
    if (count === 2) {
      return {
        kind: 'number', width: 2, widthMax: 2,
        set: (found, value) => set(found, 2000 + value),
        write: (fields) => pad(Math.abs(get(fields)) % 100, 2),
      };
    }
    return {
      kind: 'number', width: count, widthMax: 19, isOpen: true, set,
      write: (fields) => {
        const value = get(fields);
        const text = pad(Math.abs(value), count);
        // A year that outgrows its width is marked, so that what is written can be read again.
        return (value < 0 ? '-' : count >= 4 && text.length > count ? '+' : '') + text;
      },
    };
  }

  const into = (name) => (found, value) => {
    found[name] = value;
  };

  /** One run of a pattern letter, e.g. yyyy. */
  function stepOf(letter, count) {
    const tooMany = () => fault(`Too many pattern letters: ${letter}`);
    const plain = (countMax, get, set, widthMax = 2) => {
      if (count > countMax) throw tooMany();
      return numeric(count, count === 1 ? 19 : Math.max(count, widthMax), get, set);
    };
    const named = (full, abbreviated, get, set) => {
      if (count === 3) return worded(abbreviated, get, set);
      if (count === 4) return worded(full, get, set);
      if (count === 5) return worded(short(full, 1), get, set);
      throw tooMany();
    };
    switch (letter) {
      case 'y': return yearStep(count, (f) => (f.year > 0 ? f.year : 1 - f.year), into('yearOfEra'));
      case 'u': return yearStep(count, (f) => f.year, into('year'));
      case 'Y': return yearStep(count, (f) => weekOf(f).year, into('weekYear'));
      case 'M': case 'L':
        return count < 3 ? plain(2, (f) => f.month, into('month'))
          : named(MONTHS, MONTHS_SHORT, (f) => f.month - 1, (found, i) => { found.month = i + 1; });
      case 'Q': case 'q':
        return count < 3 ? plain(2, (f) => Math.ceil(f.month / 3), into('quarter'))
          : count === 3 ? worded(['Q1', 'Q2', 'Q3', 'Q4'], (f) => Math.ceil(f.month / 3) - 1, into('ignored'))
            : count === 4 ? worded(QUARTERS, (f) => Math.ceil(f.month / 3) - 1, into('ignored'))
              : named(['1', '2', '3', '4'], QUARTERS, (f) => Math.ceil(f.month / 3) - 1, into('ignored'));
      case 'd': return plain(2, (f) => f.day, into('day'));
      case 'D': return plain(3, (f) => f.dayOfYear, into('dayOfYear'), 3);
      case 'E':
        return count < 3 ? worded(WEEKDAYS_SHORT, (f) => f.weekday, into('ignored'))
          : named(WEEKDAYS, WEEKDAYS_SHORT, (f) => f.weekday, into('ignored'));
      case 'e': case 'c':
        return count < 3 ? plain(2, (f) => f.weekday + 1, into('ignored'))
          : named(WEEKDAYS, WEEKDAYS_SHORT, (f) => f.weekday, into('ignored'));
      case 'a':
        if (count > 1) throw tooMany();
        return worded(['AM', 'PM'], (f) => (f.hour < 12 ? 0 : 1), into('half'));
      case 'G': return count === 4 ? worded(ERAS, (f) => (f.year > 0 ? 1 : 0), into('era'))
        : count === 5 ? worded(['B', 'A'], (f) => (f.year > 0 ? 1 : 0), into('era'))
          : count < 4 ? worded(['BC', 'AD'], (f) => (f.year > 0 ? 1 : 0), into('era')) : named(ERAS, ERAS, (f) => f.year, into('era'));
      case 'h': return plain(2, (f) => hour12(f.hour), into('hour12'));
      case 'K': return plain(2, (f) => f.hour % 12, into('hour12'));
      case 'H': return plain(2, (f) => f.hour, into('hour'));
      case 'k': return plain(2, (f) => (f.hour === 0 ? 24 : f.hour), (found, value) => { found.hour = value === 24 ? 0 : value; });
      case 'm': return plain(2, (f) => f.minute, into('minute'));
      case 's': return plain(2, (f) => f.second, into('second'));
      case 'S':
        if (count > 9) throw tooMany();
        return {
          kind: 'number', width: count, widthMax: count,
          set: (found, value) => { found.ms = Math.floor(value / 10 ** (count - 3)); },
          write: (f) => (pad(f.ms, 3) + '000000').slice(0, count),
        };
      case 'n': return numeric(count, 19, (f) => f.ms * 1000000, (found, value) => { found.ms = Math.floor(value / 1000000); });
      case 'A': return numeric(count, 19, (f) => f.msOfDay, into('msOfDay'));
      case 'N': return numeric(count, 19, (f) => f.msOfDay * 1000000, (found, value) => { found.msOfDay = Math.floor(value / 1000000); });
      case 'w': return plain(2, (f) => weekOf(f).week, into('ignored'));
      case 'W':
        if (count > 1) throw tooMany();
        return numeric(1, 1, (f) => Math.floor((f.day - 1 + weekdayOf(new Date(epochMsOf(f.year, f.month, 1, 0)))) / 7) + 1, into('ignored'));
      case 'Z':
        if (count > 5) throw tooMany();
        return count < 4 ? offsetStep((ms) => offsetText(ms, false, 1, null), 'digits')
          : count === 4 ? offsetStep((ms) => localizedOffset(ms, true), 'localized')
            : offsetStep((ms) => offsetText(ms, true, 2, 'Z'), 'digits');
      case 'O':
        if (count !== 1 && count !== 4) throw fault(`Pattern letter count must be 1 or 4: ${letter}`);
        return offsetStep((ms) => localizedOffset(ms, count === 4), 'localized');
      case 'X': case 'x': {
        if (count > 5) throw tooMany();
        const hasColon = count === 3 || count === 5;
        const minutes = count === 1 ? 0 : count < 4 ? 1 : 2;
        return offsetStep((ms) => offsetText(ms, hasColon, minutes, letter === 'X' ? 'Z' : null), 'digits');
      }
      case 'z': case 'v':
        if (count > 4) throw tooMany();
        return { kind: 'zone', write: (f) => zoneName(f.zone, f.epochMs, count === 4 ? 'long' : 'short') };
      case 'V':
        if (count !== 2) throw fault(`Pattern letter count must be 2: ${letter}`);
        return { kind: 'zone', write: (f) => f.zone.id };
      default: throw fault(`Unknown pattern letter: ${letter}`);
    }
  }

  const isLetter = (character) => (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
  const patterns = new Map();

  /** Reads a pattern into steps; an optional section is one step with steps of its own. */
  function stepsOf(pattern) {
    const known = patterns.get(pattern);
    if (known !== undefined) return known;
    if (pattern.length > PATTERN_LENGTH_MAX) throw fault('The date format is too long');
    charge(pattern.length);
    let steps = [];
    const outer = [];
    for (let at = 0; at < pattern.length;) {
      const character = pattern[at];
      if (isLetter(character)) {
        let count = 1;
        while (pattern[at + count] === character) count++;
        steps.push(stepOf(character, count));
        at += count;
      } else if (character === "'") {
        let text = '';
        for (at++; ; at++) {
          if (at >= pattern.length) throw fault(`Pattern ends with an incomplete string literal: ${pattern}`);
          if (pattern[at] === "'") {
            if (pattern[at + 1] !== "'") break;
            at++;
          }
          text += pattern[at];
        }
        at++;
        // Two quotes by themselves are one.
        steps.push({ kind: 'literal', text: text === '' ? "'" : text });
      } else if (character === '[') {
        outer.push(steps);
        steps = [];
        at++;
      } else if (character === ']') {
        if (outer.length === 0) throw fault(`Pattern invalid as it contains ] without previous [`);
        const section = steps;
        steps = outer.pop();
        steps.push({ kind: 'optional', steps: section });
        at++;
      } else if (character === '{' || character === '}' || character === '#') {
        throw fault(`Pattern includes reserved character: '${character}'`);
      } else {
        steps.push({ kind: 'literal', text: character });
        at++;
      }
    }
    while (outer.length > 0) {
      const section = steps;
      steps = outer.pop();
      steps.push({ kind: 'optional', steps: section });
    }
    if (patterns.size >= CACHE_ENTRIES_MAX) patterns.clear();
    patterns.set(pattern, steps);
    return steps;
  }

  function write(steps, fields) {
    let text = '';
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      text += step.kind === 'literal' ? step.text : step.kind === 'optional' ? write(step.steps, fields) : step.write(fields);
    }
    return text;
  }

  // Parsing

  const isDigit = (character) => character >= '0' && character <= '9';
  const offsetDigits = new RegExp('^([+-])(\\d{2})(?::?(\\d{2}))?(?::?(\\d{2}))?');
  const offsetLocalized = new RegExp('^GMT(?:([+-])(\\d{1,2})(?::?(\\d{2}))?)?');
  const zoneText = new RegExp('^[A-Za-z][A-Za-z0-9/_+~.-]*|^[+-]\\d{1,2}(?::?\\d{2})?');

  /** Reads a text by steps. Returns where it got to, or -1 less the index that could not be read. */
  function parse(steps, text, from, found) {
    let at = from;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      switch (step.kind) {
        case 'literal':
          if (!text.startsWith(step.text, at)) return -1 - at;
          at += step.text.length;
          break;
        case 'optional': {
          const attempt = { ...found };
          const end = parse(step.steps, text, at, attempt);
          if (end >= 0) {
            at = end;
            Object.assign(found, attempt);
          }
          break;
        }
        case 'number': {
          let start = at;
          let isNegative = false;
          if (step.isOpen && (text[at] === '-' || text[at] === '+')) {
            isNegative = text[at] === '-';
            start++;
          }
          let end = start;
          while (end < text.length && end - start < step.widthMax && isDigit(text[end])) end++;
          // Digits without a separator between fields: those of fixed width that follow get theirs first, as in yyyyMMdd.
          let reserved = 0;
          if (step.widthMax === 19) {
            for (let j = i + 1; j < steps.length && steps[j].kind === 'number' && steps[j].widthMax !== 19; j++) reserved += steps[j].width;
          }
          end = Math.max(Math.min(end, start + step.width), end - reserved);
          if (end - start < step.width || end === start) return -1 - at;
          const value = Number(text.slice(start, end));
          step.set(found, isNegative ? -value : value);
          at = end;
          break;
        }
        case 'text': {
          let index = -1;
          for (let j = 0; j < step.names.length; j++) {
            if (text.startsWith(step.names[j], at) && (index < 0 || step.names[j].length > step.names[index].length)) index = j;
          }
          if (index < 0) return -1 - at;
          step.set(found, index);
          at += step.names[index].length;
          break;
        }
        case 'offset': {
          if (step.form === 'digits' && (text[at] === 'Z' || text[at] === 'z')) {
            found.zone = zoneOf('UTC');
            at++;
            break;
          }
          const offset = matchOf(step.form === 'digits' ? offsetDigits : offsetLocalized, text.slice(at, at + 20));
          if (offset === null) return -1 - at;
          found.zone = offset[1] === undefined ? zoneOf('UTC')
            : zoneOf(`${offset[1]}${offset[2]}:${offset[3] ?? '00'}${offset[4] === undefined ? '' : `:${offset[4]}`}`);
          at += offset[0].length;
          break;
        }
        default: {
          const zone = matchOf(zoneText, text.slice(at, at + 100));
          if (zone === null) return -1 - at;
          found.zone = zoneOf(zone[0]);
          at += zone[0].length;
        }
      }
    }
    return at;
  }

  function checkRange(value, low, high, name) {
    if (value < low || value > high) throw fault(`Invalid value for ${name} (valid values ${low} - ${high}): ${value}`);
  }

  /** Puts what was read together, as Java's SMART style does: February 30 is the last of February, 24:00 the next day's start. */
  function resolve(found, text, zone) {
    let { year } = found;
    if (found.yearOfEra !== undefined) year = found.era === 0 ? 1 - found.yearOfEra : found.yearOfEra;
    // Patterns that say YYYY mean the year nearly always; a week's date is nothing that util.time is asked for.
    year ??= found.weekYear;
    if (year === undefined || (found.dayOfYear === undefined && found.month === undefined)) {
      throw fault(`Text '${text}' could not be parsed: it names no date`);
    }
    let month = 1;
    let day;
    if (found.month === undefined) {
      checkRange(found.dayOfYear, 1, isLeapYear(year) ? 366 : 365, 'DayOfYear');
      day = found.dayOfYear;
    } else {
      month = found.month;
      checkRange(month, 1, 12, 'MonthOfYear');
      checkRange(found.day ?? 1, 1, 31, 'DayOfMonth');
      day = Math.min(found.day ?? 1, daysIn(year, month));
    }
    let { hour = 0 } = found;
    if (found.hour12 !== undefined) {
      checkRange(found.hour12, 0, 12, 'ClockHourOfAmPm');
      hour = (found.hour12 % 12) + (found.half === 1 ? 12 : 0);
    }
    const { minute = 0, second = 0, ms = 0 } = found;
    checkRange(hour, 0, minute === 0 && second === 0 && ms === 0 ? 24 : 23, 'HourOfDay');
    checkRange(minute, 0, 59, 'MinuteOfHour');
    checkRange(second, 0, 59, 'SecondOfMinute');
    const msOfDay = found.msOfDay ?? ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    checkRange(msOfDay, 0, DAY_MS, 'MilliOfDay');
    const epochMs = epochMsOfLocal(epochMsOf(year, month, day, msOfDay), found.zone ?? zone);
    if (!(Math.abs(epochMs) <= EPOCH_MS_MAX)) throw fault('The time is out of range');
    return epochMs;
  }

  const utc = zoneOf('UTC');

  const zoneArgument = (zone, name) => (zone === undefined || zone === null ? utc : zoneOf(textOf(zone, name)));

  function epochMsArgument(value, name) {
    const epochMs = numberOf(value, name);
    if (!(Math.abs(epochMs) <= EPOCH_MS_MAX)) throw fault(`${name}: the time is out of range`);
    return Math.floor(epochMs);
  }

  const isoPattern = new RegExp('^([+-]?\\d{4,9})-(\\d{2})-(\\d{2})'
    + '(?:T(\\d{2}):(\\d{2})(?::(\\d{2})(?:[.,](\\d{1,9}))?)?'
    + '(Z|[+-]\\d{2}(?::?\\d{2}(?::?\\d{2})?)?)?(?:\\[([A-Za-z0-9/_+-]+)\\])?)?$', 'i');

  function format(epochMs, pattern, zone, name) {
    return write(stepsOf(textOf(pattern, name)), fieldsOf(epochMs, zoneArgument(zone, name)));
  }

  internal.time = {
    nowISO8601: () => isoOf(new Date(dateNow())),
    nowEpochSeconds: () => Math.floor(dateNow() / 1000),
    nowEpochMilliSeconds: () => dateNow(),
    nowFormatted: (pattern, zone) => format(dateNow(), pattern, zone, 'util.time.nowFormatted'),

    parseFormattedToEpochMilliSeconds(value, pattern, zone) {
      const name = 'util.time.parseFormattedToEpochMilliSeconds';
      const text = textOf(value, name);
      const steps = stepsOf(textOf(pattern, name));
      charge(text.length / 16);
      const found = {};
      const end = parse(steps, text, 0, found);
      if (end < 0) throw fault(`Text '${text.slice(0, 100)}' could not be parsed at index ${-1 - end}`);
      if (end < text.length) throw fault(`Text '${text.slice(0, 100)}' could not be parsed, unparsed text found at index ${end}`);
      return resolve(found, text, zoneArgument(zone, name));
    },

    /** A text without an offset is UTC, one without a time its midnight. */
    parseISO8601ToEpochMilliSeconds(value) {
      const text = textOf(value, 'util.time.parseISO8601ToEpochMilliSeconds');
      const match = text.length > 100 ? null : matchOf(isoPattern, text);
      if (match === null) throw fault(`Text '${text.slice(0, 100)}' could not be parsed at index 0`);
      const found = { year: Number(match[1]), month: Number(match[2]), day: Number(match[3]) };
      // Java's ISO formats are strict about the day, unlike patterns.
      checkRange(found.month, 1, 12, 'MonthOfYear');
      checkRange(found.day, 1, daysIn(found.year, found.month), 'DayOfMonth');
      if (match[4] !== undefined) {
        found.hour = Number(match[4]);
        found.minute = Number(match[5]);
        found.second = Number(match[6] ?? 0);
        found.ms = Math.floor(Number(`0.${match[7] ?? '0'}`) * 1000 + 1e-7);
      }
      let zone = utc;
      if (match[8] !== undefined && match[8] !== 'Z' && match[8] !== 'z') zone = zoneOf(match[8]);
      else if (match[8] === undefined && match[9] !== undefined) zone = zoneOf(match[9]);
      return resolve(found, text, zone);
    },

    epochMilliSecondsToSeconds: (ms) => Math.floor(numberOf(ms, 'util.time.epochMilliSecondsToSeconds') / 1000),

    epochMilliSecondsToISO8601: (ms) => isoOf(new Date(epochMsArgument(ms, 'util.time.epochMilliSecondsToISO8601'))),

    epochMilliSecondsToFormatted(ms, pattern, zone) {
      const name = 'util.time.epochMilliSecondsToFormatted';
      const epochMs = epochMsArgument(ms, name);
      return pattern === undefined || pattern === null ? isoOf(new Date(epochMs)) : format(epochMs, pattern, zone, name);
    },
  };
  return internal;
})
