// The module @aws-appsync/utils/rds (handlers.md §5.6) and util.rds. Values never become part of a statement's text: they are bound to
// variables :P0, :P1, ... and names are quoted. Texts and errors are those recorded from AppSync, also where it writes a statement that no
// database accepts (an empty condition beside another leaves its AND behind), so that what fails there fails here.

(function (internal) {
  'use strict';

  const { Number, Object, String, WeakSet, isArray, isRecord, keysOf, parseJson, setMember, textOf } = internal;
  const { charge, fault } = internal.call;

  const DEPTH_MAX = 40;

  // What this module made, told by identity: an event may look like a statement or a type hint, and must not become one.
  const statements = new WeakSet();
  const hints = new WeakSet();
  const aggregates = new WeakSet();

  function branded(brand, object) {
    brand.add(object);
    return object;
  }

  // Type hints and aggregates

  const hint = (type) => (value) => branded(hints, { type, value });
  const typeHint = {};
  for (const type of ['DECIMAL', 'JSON', 'TIME', 'DATE', 'UUID', 'TIMESTAMP']) typeHint[type] = hint(type);

  const agg = {};
  for (const name of ['min', 'max', 'sum', 'avg', 'count']) {
    agg[name] = (column) => branded(aggregates, { type: name.toUpperCase(), column, isDistinct: false });
    agg[`${name}Distinct`] = (column) => branded(aggregates, { type: name.toUpperCase(), column, isDistinct: true });
  }

  /** Functions that a condition may compare: {name: {size: {gt: 3}}}. */
  const sizeLike = { __proto__: null, size: 'LENGTH (' };
  for (const name of ['min', 'max', 'sum', 'avg', 'count']) {
    sizeLike[name] = `${name.toUpperCase()}(`;
    sizeLike[`${name}Distinct`] = `${name.toUpperCase()}(DISTINCT `;
  }

  // Building

  /**
   * Collects a request's variables while its statements are written.
   * @param {string} quote what names are quoted with: `"` for PostgreSQL, a backtick for MySQL
   */
  function builder(quote) {
    const variableMap = {};
    const variableTypeHintMap = {};
    let count = 0;

    function bind(value) {
      const name = `:P${count++}`;
      if (isRecord(value) && hints.has(value)) {
        variableMap[name] = value.value;
        variableTypeHintMap[name] = value.type;
      } else {
        variableMap[name] = value;
      }
      return name;
    }

    const bindOrNull = (value) => (value === null || value === undefined ? 'NULL' : bind(value));

    // A quote within a name is doubled, so that a name cannot end early.
    const quoted = (part) => quote + part.split(quote).join(quote + quote) + quote;
    const nameText = (name) => name.split('.').map(quoted).join('.');
    const columnText = (name) => (name === '*' ? '*' : nameText(name));

    const aggregateText = ({ type, column, isDistinct }) =>
      `${type}(${isDistinct ? 'DISTINCT ' : ''}${columnText(textOf(column, 'agg'))})`;

    function aliasOf(object, write) {
      const names = keysOf(object);
      if (names.length === 0) throw fault('java.util.NoSuchElementException');
      if (names.length > 1) throw fault('table alias is allowed only one key-value pair.');
      const [alias] = names;
      return `${write(object[alias])} as ${nameText(alias)}`;
    }

    function tableAlias(value) {
      if (isRecord(value) && statements.has(value)) return `(${write(value)})`;
      if (typeof value !== 'string') throw fault('Table alias value is expected to be a string.');
      return nameText(value);
    }

    function tableText(payload) {
      const { table } = payload;
      if (table === null || table === undefined) throw fault("'table' or 'from' key is required.");
      if (typeof table === 'string') return nameText(table);
      if (isRecord(table)) return aliasOf(table, tableAlias);
      throw fault('table name is expected to be a string or alias.');
    }

    function sourceText(payload) {
      const { from, table } = payload;
      if (from === null || from === undefined) return tableText(payload);
      if (table !== null && table !== undefined) throw fault("'from' and 'table' keys cannot be used together");
      if (typeof from === 'string') return nameText(from);
      if (!isRecord(from)) throw fault("'from' value is expected to be string or object.");
      return statements.has(from) ? `(${write(from)})` : aliasOf(from, tableAlias);
    }

    function columnList(columns) {
      if (columns === null || columns === undefined || columns === '*') return '*';
      if (!isArray(columns)) throw fault('Expected column to be * or an array.');
      const texts = [];
      for (let i = 0; i < columns.length; i++) {
        charge(1);
        const column = columns[i];
        if (typeof column === 'string') texts.push(columnText(column));
        else if (!isRecord(column)) throw fault('Invalid type in column array.');
        else if (aggregates.has(column)) texts.push(aggregateText(column));
        else texts.push(aliasOf(column, (value) => {
          if (typeof value === 'string') return columnText(value);
          if (isRecord(value) && aggregates.has(value)) return aggregateText(value);
          if (isRecord(value) && statements.has(value)) return `(${write(value)})`;
          throw fault('Invalid type in column array.');
        }));
      }
      return texts.join(', ');
    }

    const comparators = { __proto__: null, eq: '=', ne: '!=', lt: '<', le: '<=', gt: '>', ge: '>=' };

    function between(subject, operand, name, operator) {
      if (!isArray(operand)) throw fault(`${name}.${operator} condition expects an array with length of 2.`);
      if (operand.length !== 2) {
        throw fault(`${name}.${operator} condition expects an array with 2 values but received an array with length ${operand.length}.`);
      }
      return `${subject} BETWEEN ${bindOrNull(operand[0])} AND ${bindOrNull(operand[1])}`;
    }

    function like(subject, keyword, operand, name, operator, before, after) {
      const isHint = isRecord(operand) && hints.has(operand);
      const text = isHint ? operand.value : operand;
      if (typeof text !== 'string') throw fault(`${name}.${operator} expects a string value to be passed.`);
      const pattern = before + text + after;
      return `${subject} ${keyword} ${bind(isHint ? branded(hints, { type: operand.type, value: pattern }) : pattern)}`;
    }

    function columnCondition(name, operators) {
      if (!isRecord(operators)) throw fault('Expected condition to be an Object.');
      const subject = nameText(name);
      const terms = [];
      const names = keysOf(operators);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const operator = names[i];
        const operand = operators[operator];
        if (sizeLike[operator] !== undefined) {
          terms.push(sizeCondition(`${sizeLike[operator]}${subject})`, operand, name, operator));
          continue;
        }
        if (operand === null || operand === undefined) throw fault(`Value for ${name}.${operator} can't be null.`);
        if (comparators[operator] !== undefined) {
          terms.push(`${subject} ${comparators[operator]} ${bind(operand)}`);
          continue;
        }
        switch (operator) {
          case 'between': terms.push(between(subject, operand, name, operator)); break;
          case 'contains': terms.push(like(subject, 'LIKE', operand, name, operator, '%', '%')); break;
          case 'notContains': terms.push(like(subject, 'NOT LIKE', operand, name, operator, '', '')); break;
          case 'beginsWith': terms.push(like(subject, 'LIKE', operand, name, operator, '', '%')); break;
          case 'attributeExists':
            if (typeof operand !== 'boolean') throw fault(`${name}.attributeExists expects a boolean value to be passed.`);
            terms.push(`${subject} IS ${operand ? 'NOT NULL' : 'NULL'}`);
            break;
          default: throw fault(`Unsupported condition ${name}.${operator}.`);
        }
      }
      return terms.join(' AND ');
    }

    function sizeCondition(subject, operators, name, kind) {
      if (!isRecord(operators)) throw fault(`Expected ${name}.${kind} to be an Object.`);
      const terms = [];
      const names = keysOf(operators);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const operand = operators[names[i]];
        if (names[i] === 'between') terms.push(between(subject, operand, name, kind));
        else if (comparators[names[i]] !== undefined) terms.push(`${subject} ${comparators[names[i]]} ${bindOrNull(operand)}`);
        else throw fault(`${name}.${kind} has invalid ${kind} operator.`);
      }
      return terms.join(' AND ');
    }

    function group(condition, depth) {
      if (depth > DEPTH_MAX) throw fault(`Conditions are nested more than ${DEPTH_MAX} deep`);
      const terms = [];
      const names = keysOf(condition);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const name = names[i];
        const value = condition[name];
        if (name === 'and' || name === 'or') {
          terms.push(members(name, value, depth, name === 'and' ? ' AND ' : ' OR '));
        } else if (name === 'not') {
          const negated = members(name, isArray(value) ? value : [value], depth, ' AND ');
          terms.push(negated === '' ? '' : `NOT (${negated})`);
        } else {
          terms.push(columnCondition(name, value));
        }
      }
      return terms.join(' AND ');
    }

    function members(name, list, depth, joiner) {
      if (!isArray(list)) throw fault(`${name} expects conditions to be an array`);
      const terms = [];
      for (let i = 0; i < list.length; i++) {
        charge(1);
        const member = list[i];
        if (!isRecord(member) || statements.has(member)) throw fault(`Expected ${name} to be an Object.`);
        const text = group(member, depth + 1);
        terms.push(text === '' ? '' : `(${text})`);
      }
      return terms.join(joiner);
    }

    /** A WHERE or HAVING clause, or nothing where its conditions come to nothing. */
    function conditionClause(keyword, condition) {
      if (condition === null || condition === undefined) return '';
      if (!isRecord(condition)) throw fault(`${keyword} values are expected to be SQL templates or a condition object.`);
      const text = statements.has(condition) ? write(condition) : group(condition, 0);
      return text === '' ? '' : `${keyword} ${text}`;
    }

    function orderByClause(orderBy) {
      if (orderBy === null || orderBy === undefined) return '';
      if (!isArray(orderBy)) throw fault('orderBy expects an array.');
      const texts = [];
      for (let i = 0; i < orderBy.length; i++) {
        charge(1);
        const item = orderBy[i];
        if (!isRecord(item)) throw fault('orderBy item expected to be an object.');
        if (typeof item.column !== 'string') throw fault('orderBy item expected to have property column.');
        const direction = typeof item.dir === 'string' ? item.dir.toUpperCase() : 'ASC';
        if (direction !== 'ASC' && direction !== 'DESC') throw fault(`orderBy dir can have either ASC or DESC found ${item.dir}.`);
        texts.push(`${nameText(item.column)} ${direction}`);
      }
      return texts.length === 0 ? '' : `ORDER BY ${texts.join(', ')}`;
    }

    function numberClause(keyword, value) {
      if (value === null || value === undefined) return '';
      const number = typeof value === 'string' && value !== '' ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isFinite(number)) throw fault(`${keyword.toLowerCase()} expects a number.`);
      return `${keyword} ${bind(number)}`;
    }

    function groupByClause(groupBy) {
      if (groupBy === null || groupBy === undefined) return '';
      if (!isArray(groupBy)) throw fault('groupBy expects an array.');
      const texts = [];
      for (let i = 0; i < groupBy.length; i++) {
        const column = groupBy[i];
        if (typeof column === 'number' && Number.isInteger(column)) texts.push(String(column));
        else if (typeof column === 'string') texts.push(nameText(column));
        else throw fault('groupBy expects column names or positions.');
      }
      return texts.length === 0 ? '' : `GROUP BY ${texts.join(', ')}`;
    }

    const joins = {
      __proto__: null, join: 'JOIN', innerJoin: 'INNER JOIN', leftJoin: 'LEFT JOIN', leftOuterJoin: 'LEFT OUTER JOIN',
      rightJoin: 'RIGHT JOIN', rightOuterJoin: 'RIGHT OUTER JOIN', fullOuterJoin: 'FULL OUTER JOIN', crossJoin: 'CROSS JOIN',
      joinNatural: 'NATURAL JOIN', innerJoinNatural: 'NATURAL INNER JOIN', leftJoinNatural: 'NATURAL LEFT JOIN',
      leftOuterJoinNatural: 'NATURAL LEFT OUTER JOIN', rightJoinNatural: 'NATURAL RIGHT JOIN',
      rightOuterJoinNatural: 'NATURAL RIGHT OUTER JOIN', fullOuterJoinNatural: 'NATURAL FULL OUTER JOIN',
    };

    function joinClauses(payload) {
      const texts = [];
      const names = keysOf(payload);
      for (let i = 0; i < names.length; i++) {
        const keyword = joins[names[i]];
        const list = payload[names[i]];
        if (keyword === undefined || list === null || list === undefined) continue;
        if (!isArray(list)) throw fault(`${names[i]} expects an array.`);
        for (let j = 0; j < list.length; j++) {
          charge(1);
          const join = list[j];
          if (!isRecord(join)) throw fault(`${names[i]} item expected to be an object.`);
          let text = `${keyword} ${sourceText(join)}`;
          if (join.using !== null && join.using !== undefined) text += ` USING (${columnList(join.using)})`;
          else if (join.on !== null && join.on !== undefined) text += ` ${conditionClause('ON', join.on)}`;
          texts.push(text);
        }
      }
      return texts.join(' ');
    }

    function returningClause(returning) {
      if (returning === null || returning === undefined) return '';
      const columns = columnList(returning);
      if (quote === '`') throw fault('returning is not supported in MySQL.');
      return `RETURNING ${columns}`;
    }

    function valuesOf(payload, kind) {
      const { values } = payload;
      if (values === null || values === undefined) throw fault(`values are expected to be passed to ${kind}`);
      if (!isRecord(values)) throw fault('Expected values to an Object.');
      charge(keysOf(values).length);
      return values;
    }

    /** Joins the clauses that came to something. */
    function joined(clauses) {
      let text = '';
      for (let i = 0; i < clauses.length; i++) {
        if (clauses[i] !== '') text += text === '' ? clauses[i] : ` ${clauses[i]}`;
      }
      return text.trimEnd();
    }

    const writers = {
      __proto__: null,
      sql({ texts, values }) {
        let text = texts[0];
        for (let i = 0; i < values.length; i++) text += bindOrNull(values[i]) + texts[i + 1];
        return text;
      },
      select({ payload }) {
        return joined([
          'SELECT', columnList(payload.columns), 'FROM', sourceText(payload), joinClauses(payload), conditionClause('WHERE', payload.where),
          groupByClause(payload.groupBy), conditionClause('HAVING', payload.having), orderByClause(payload.orderBy),
          numberClause('LIMIT', payload.limit), numberClause('OFFSET', payload.offset),
        ]);
      },
      insert({ payload }) {
        const table = tableText(payload);
        const values = valuesOf(payload, 'insert');
        const names = keysOf(values);
        const columns = [];
        const variables = [];
        for (let i = 0; i < names.length; i++) {
          columns.push(nameText(names[i]));
          variables.push(bindOrNull(values[names[i]]));
        }
        return joined(['INSERT INTO', table, `(${columns.join(', ')}) VALUES (${variables.join(', ')})`, returningClause(payload.returning)]);
      },
      update({ payload }) {
        const table = tableText(payload);
        const values = valuesOf(payload, 'update');
        const names = keysOf(values);
        const assignments = [];
        for (let i = 0; i < names.length; i++) assignments.push(`${nameText(names[i])} = ${bindOrNull(values[names[i]])}`);
        return joined(['UPDATE', table, 'SET', assignments.join(', '), conditionClause('WHERE', payload.where), returningClause(payload.returning)]);
      },
      remove({ payload }) {
        return joined(['DELETE FROM', tableText(payload), conditionClause('WHERE', payload.where), returningClause(payload.returning)]);
      },
    };

    let depth = 0;
    function write(statement) {
      if (++depth > DEPTH_MAX) throw fault(`Statements are nested more than ${DEPTH_MAX} deep`);
      charge(1);
      const text = writers[statement.type](statement);
      depth--;
      return text;
    }

    return { write, variableMap, variableTypeHintMap };
  }

  function create(name, quote, given) {
    if (given.length === 0 || given[0] === undefined) throw fault(`An argument is expected to be passed to ${name}`);
    const { write, variableMap, variableTypeHintMap } = builder(quote);
    const texts = [];
    for (let i = 0; i < given.length && i < 2; i++) {
      const statement = given[i];
      if (i === 1 && (statement === null || statement === undefined)) break;
      if (typeof statement === 'string') texts.push(statement);
      else if (isRecord(statement) && statements.has(statement)) texts.push(write(statement));
      else throw fault(`Unsupported type is passed as argument to ${name}`);
    }
    return { statements: texts, variableMap, variableTypeHintMap };
  }

  const statement = (type) => (...given) => {
    if (given.length === 0) throw fault(`An argument is expected to be passed to ${type}`);
    if (!isRecord(given[0])) throw fault('Expected payload to be an Object.');
    return branded(statements, Object.freeze({ type, payload: given[0] }));
  };

  // Results

  function valueOfField(field) {
    if (!isRecord(field) || field.isNull === true) return undefined;
    charge(1);
    if (isRecord(field.arrayValue)) return valuesOfArray(field.arrayValue, 0);
    const names = keysOf(field);
    return names.length === 0 ? undefined : field[names[0]];
  }

  function valuesOfArray(array, depth) {
    charge(1);
    if (isArray(array.arrayValues) && depth < DEPTH_MAX) return array.arrayValues.map((inner) => valuesOfArray(inner, depth + 1));
    const names = keysOf(array);
    return names.length === 0 ? [] : array[names[0]];
  }

  /** Turns a Data API result, as text or object, into one list of rows per statement; SQL's NULL is left out. */
  function toJsonObject(result) {
    let parsed = result;
    if (typeof result === 'string') {
      try {
        parsed = parseJson(result);
      } catch {
        throw fault('toJsonObject expects the result of a statement');
      }
    }
    if (parsed === null || parsed === undefined) return null;
    if (!isRecord(parsed) || !isArray(parsed.sqlStatementResults)) throw fault('toJsonObject expects the result of a statement');
    const lists = [];
    for (let i = 0; i < parsed.sqlStatementResults.length; i++) {
      charge(1);
      const { records, columnMetadata } = parsed.sqlStatementResults[i] ?? {};
      const rows = [];
      if (isArray(records) && isArray(columnMetadata)) {
        for (let j = 0; j < records.length; j++) {
          const row = {};
          for (let k = 0; k < columnMetadata.length; k++) {
            const value = valueOfField(records[j]?.[k]);
            const { label, name } = columnMetadata[k] ?? {};
            if (value !== undefined) setMember(row, String(label ?? name ?? k), value);
          }
          rows.push(row);
        }
      } else {
        // A statement without rows, such as an update, gives one empty row.
        rows.push({});
      }
      lists.push(rows);
    }
    return lists;
  }

  internal.rdsModule = {
    select: statement('select'),
    insert: statement('insert'),
    update: statement('update'),
    remove: statement('remove'),
    createPgStatement: (...given) => create('createPgStatement', '"', given),
    createMySQLStatement: (...given) => create('createMySQLStatement', '`', given),
    sql(texts, ...values) {
      const isTemplate = isArray(texts) && isArray(texts.raw) && texts.length === values.length + 1;
      if (!isTemplate) throw fault('Unexpected argument passed to sql tagged template');
      return branded(statements, Object.freeze({ type: 'sql', texts, values }));
    },
    typeHint,
    agg,
    toJsonObject,
  };
  internal.rds = { toJsonObject };
  return internal;
})
