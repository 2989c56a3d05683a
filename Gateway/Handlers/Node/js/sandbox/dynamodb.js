// DynamoDB: util.dynamodb (handlers.md §4.4), util.transform (§4.5) and the module @aws-appsync/utils/dynamodb (§5.3). The texts of
// expressions, down to spaces and parentheses, are those recorded from AppSync.

(function (internal) {
  'use strict';

  const {
    Number, RegExp, WeakSet, hasOwn, isArray, isRecord, keysOf, matchOf, parseJson, replaceText, setMember, stringify, textOf,
  } = internal;
  const { charge, fault } = internal.call;

  // DynamoDB takes values of 32 levels; a filter may be nested somewhat more.
  const DEPTH_MAX = 40;

  // Sets and update markers that this module made. What they are is not told by their members, since events may have any members, and an
  // event must not become an instruction.
  const sets = new WeakSet();
  const markers = new WeakSet();

  // Typed values

  function typed(value, depth) {
    if (depth > DEPTH_MAX) throw fault(`A value for DynamoDB is nested more than ${DEPTH_MAX} deep`);
    charge(1);
    switch (typeof value) {
      case 'string': return { S: value };
      case 'boolean': return { BOOL: value };
      case 'number':
        if (!Number.isFinite(value)) throw fault(`DynamoDB has no number ${value}`);
        return { N: value };
      case 'object':
        if (value === null) return { NULL: null };
        if (isArray(value)) return { L: typedList(value, depth) };
        if (sets.has(value)) return value;
        return { M: typedMembers(value, depth) };
      default: return { NULL: null };
    }
  }

  function typedList(list, depth) {
    const values = [];
    for (let i = 0; i < list.length; i++) values.push(typed(list[i], depth + 1));
    return values;
  }

  /** Members that are undefined are left out, as JSON leaves them out. */
  function typedMembers(object, depth) {
    const values = {};
    const names = keysOf(object);
    for (let i = 0; i < names.length; i++) {
      const value = object[names[i]];
      if (value !== undefined) setMember(values, names[i], typed(value, depth + 1));
    }
    return values;
  }

  const isNothing = (value) => value === undefined || value === null;

  function setOf(type, list) {
    if (isNothing(list)) return null;
    if (!isArray(list)) throw fault('A DynamoDB set is made of a list');
    charge(list.length);
    const values = [];
    for (let i = 0; i < list.length; i++) values.push(list[i]);
    const set = { [type]: values };
    sets.add(set);
    return set;
  }

  const toStringSet = (list) => setOf('SS', list);
  const toNumberSet = (list) => setOf('NS', list);
  const toBinarySet = (list) => setOf('BS', list);

  const dynamodb = {
    toDynamoDB: (value) => typed(value, 0),
    toString: (value) => (isNothing(value) ? null : { S: value }),
    toNumber: (value) => (isNothing(value) ? null : { N: value }),
    toBinary: (value) => (isNothing(value) ? null : { B: value }),
    toBoolean: (value) => (isNothing(value) ? null : { BOOL: value }),
    toNull: () => ({ NULL: null }),
    toList: (value) => (isArray(value) ? { L: typedList(value, 0) } : null),
    toMap: (value) => (isRecord(value) ? { M: typedMembers(value, 0) } : null),
    toMapValues: (value) => (isRecord(value) ? typedMembers(value, 0) : null),
    toStringSet,
    toNumberSet,
    toBinarySet,
    toS3Object(key, bucket, region, version) {
      const s3 = version === undefined ? { key, bucket, region } : { key, bucket, region, version };
      return { S: stringify({ s3 }) };
    },
    fromS3ObjectJson(text) {
      let object;
      try {
        object = parseJson(textOf(text, 'util.dynamodb.fromS3ObjectJson'));
      } catch (error) {
        if (error === internal.call.signal) throw error;
        return null;
      }
      return isRecord(object) && hasOwn(object, 's3') ? object.s3 : null;
    },
  };

  // Filters and conditions

  const comparators = { __proto__: null, eq: '=', ne: '<>', lt: '<', le: '<=', gt: '>', ge: '>=' };
  const typeCodes = {
    __proto__: null, _null: 'NULL', string: 'S', stringSet: 'SS', number: 'N', numberSet: 'NS', binary: 'B', binarySet: 'BS',
    boolean: 'BOOL', list: 'L', map: 'M',
  };

  // Thrown within this file for a filter that AppSync does not render, and always caught here.
  const unrenderable = { __proto__: null };

  /**
   * Writes a filter as an expression.
   * @param {boolean} isStrict whether placeholders keep to the letters that DynamoDB accepts. util.transform does not: AppSync writes
   * names as they are, dots and all.
   * @returns {object|null} null for what AppSync does not render
   */
  function expressionOf(filter, isStrict) {
    if (!isRecord(filter)) return null;
    const expressionNames = {};
    const expressionValues = {};

    function operation(subject, operator, operand, name) {
      const bind = (suffix, value) => {
        const placeholder = `:${isStrict ? placeholderOf(name) : name}_${suffix}`;
        setMember(expressionValues, placeholder, typed(value, 0));
        return placeholder;
      };
      if (comparators[operator] !== undefined) return `(${subject} ${comparators[operator]} ${bind(operator, operand)})`;
      switch (operator) {
        case 'contains': return `(contains(${subject},${bind(operator, operand)}))`;
        case 'notContains': return `(NOT contains(${subject},${bind(operator, operand)}))`;
        case 'beginsWith': return `(begins_with(${subject},${bind(operator, operand)}))`;
        case 'between':
          if (!isArray(operand) || operand.length < 2) throw unrenderable;
          return `(${subject} BETWEEN ${bind('between_start', operand[0])} AND ${bind('between_end', operand[1])})`;
        case 'in': {
          if (!isArray(operand)) throw unrenderable;
          if (operand.length === 0) return '(null)';
          let list = '';
          for (let i = 0; i < operand.length; i++) list += `${i === 0 ? '' : ', '}${bind(`in_${i}`, operand[i])}`;
          return `(${subject} IN (${list}))`;
        }
        case 'attributeExists':
          if (typeof operand !== 'boolean') throw unrenderable;
          return `(${operand ? 'attribute_exists' : 'attribute_not_exists'}(${subject}))`;
        case 'attributeType':
          if (typeof operand !== 'string' || typeCodes[operand] === undefined) throw unrenderable;
          return `(attribute_type(${subject},${bind(operator, typeCodes[operand])}))`;
        default: throw unrenderable;
      }
    }

    function field(subject, operators, name, fieldName, depth) {
      if (!isRecord(operators) || depth > DEPTH_MAX) throw unrenderable;
      const terms = [];
      const names = keysOf(operators);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const operand = operators[names[i]];
        if (names[i] === 'size') terms.push(field(`size(#${fieldName})`, operand, `${name}_size`, fieldName, depth + 1));
        else terms.push(operation(subject, names[i], operand, name));
      }
      return terms.length > 1 ? `(${terms.join(' AND ')})` : terms.join('');
    }

    function group(condition, prefix, depth) {
      if (!isRecord(condition) || depth > DEPTH_MAX) throw unrenderable;
      charge(1);
      const terms = [];
      const names = keysOf(condition);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const name = names[i];
        const value = condition[name];
        if (name === 'and' || name === 'or') {
          if (!isArray(value)) throw unrenderable;
          const members = [];
          for (let j = 0; j < value.length; j++) members.push(group(value[j], `${prefix}${name}_${j}_`, depth + 1));
          const joined = members.join(name === 'and' ? ' AND ' : ' OR ');
          terms.push(members.length > 1 ? `(${joined})` : joined);
        } else if (name === 'not') {
          terms.push(`(NOT ${group(value, `${prefix}not_`, depth + 1)})`);
        } else {
          const placeholder = isStrict ? placeholderOf(name) : name;
          setMember(expressionNames, `#${placeholder}`, name);
          terms.push(field(`#${placeholder}`, value, `${prefix}${name}`, placeholder, 0));
        }
      }
      return terms.join(' AND ');
    }

    try {
      return { expression: group(filter, '', 0), expressionNames, expressionValues };
    } catch (error) {
      if (error === unrenderable) return null;
      throw error;
    }
  }

  const notForPlaceholders = new RegExp('[^A-Za-z0-9_]', 'g');

  /** A name in the letters of a placeholder. Other characters become their codes, so that two names never meet. */
  const placeholderOf = (name) => replaceText(name, notForPlaceholders, (character) => `_${character.charCodeAt(0).toString(16)}_`);

  function expressionText(filter) {
    const expression = expressionOf(filter, false);
    return expression === null ? null : stringify(expression);
  }

  // OpenSearch queries

  const rangeOperators = { __proto__: null, gt: 'gt', gte: 'gte', lt: 'lt', lte: 'lte' };
  const fieldQueries = {
    __proto__: null, eq: 'term', match: 'match', matchPhrase: 'match_phrase', matchPhrasePrefix: 'match_phrase_prefix',
    multiMatch: 'multi_match', wildcard: 'wildcard', regexp: 'regexp',
  };

  const must = (queries) => (queries.length === 1 ? queries[0] : { bool: { must: queries } });
  const memberOf = (name, value) => {
    const object = {};
    setMember(object, name, value);
    return object;
  };

  function searchQuery(filter, depth) {
    if (!isRecord(filter) || depth > DEPTH_MAX) throw unrenderable;
    charge(1);
    const queries = [];
    const names = keysOf(filter);
    for (let i = 0; i < names.length; i++) {
      charge(1);
      const name = names[i];
      const value = filter[name];
      if (name === 'and' || name === 'or') {
        if (!isArray(value)) throw unrenderable;
        const members = [];
        for (let j = 0; j < value.length; j++) members.push(searchQuery(value[j], depth + 1));
        queries.push({ bool: { [name === 'and' ? 'must' : 'should']: members } });
      } else if (name === 'not') {
        queries.push({ bool: { must_not: searchQuery(value, depth + 1) } });
      } else {
        queries.push(searchField(name, value));
      }
    }
    return queries.length === 0 ? { match_all: {} } : must(queries);
  }

  function searchField(name, operators) {
    if (!isRecord(operators)) throw unrenderable;
    const queries = [];
    const names = keysOf(operators);
    for (let i = 0; i < names.length; i++) {
      charge(1);
      const operator = names[i];
      const operand = operators[operator];
      if (fieldQueries[operator] !== undefined) {
        queries.push({ [fieldQueries[operator]]: memberOf(name, operand) });
      } else if (operator === 'ne') {
        queries.push({ bool: { must_not: { term: memberOf(name, operand) } } });
      } else if (rangeOperators[operator] !== undefined) {
        queries.push({ range: memberOf(name, { [operator]: operand }) });
      } else if (operator === 'range') {
        if (!isArray(operand) || operand.length < 2) throw unrenderable;
        queries.push({ range: memberOf(name, { gte: operand[0], lte: operand[1] }) });
      } else if (operator === 'exists') {
        const exists = { exists: { field: name } };
        queries.push(operand === true ? exists : { bool: { must_not: exists } });
      } else {
        throw unrenderable;
      }
    }
    return must(queries);
  }

  const transform = {
    toDynamoDBFilterExpression: expressionText,
    toDynamoDBConditionExpression: expressionText,
    toElasticsearchQueryDSL(filter) {
      try {
        return stringify(searchQuery(filter, 0));
      } catch (error) {
        if (error === unrenderable) return null;
        throw error;
      }
    },
    toSubscriptionFilter() {
      internal.call.log('WARN', 2, ['util.transform.toSubscriptionFilter has no effect in event handlers'], transform.toSubscriptionFilter);
      return null;
    },
  };

  // The module's requests

  function input(value, name) {
    if (!isRecord(value)) throw fault(`${name} expects an object`);
    return value;
  }

  function keyOf(key, name) {
    if (!isRecord(key) || keysOf(key).length === 0) throw fault(`${name} expects a key`);
    return typedMembers(key, 0);
  }

  /** A condition or filter of the module: an object of operators, or an expression that is one already. */
  function conditionOf(condition, what) {
    if (isRecord(condition) && typeof condition.expression === 'string') return condition;
    const expression = expressionOf(condition, true);
    if (expression === null) throw fault(`The ${what} is not one that DynamoDB knows`);
    return expression;
  }

  const pathPart = new RegExp('^([^\\[\\]]+)((?:\\[\\d+\\])*)$');

  /** Numbers the names of an expression: #expName_1, #expName_2; a name that occurs again keeps its number. */
  function namesFrom(expressionNames) {
    const placeholders = { __proto__: null };
    let count = 0;
    return (name) => {
      const known = placeholders[name];
      if (known !== undefined) return known;
      const placeholder = `#expName_${++count}`;
      placeholders[name] = placeholder;
      expressionNames[placeholder] = name;
      return placeholder;
    };
  }

  /** A projection such as ['id', 'nested.list[1]'] as an expression with placeholders. */
  function projectionOf(paths) {
    if (!isArray(paths)) throw fault('projection expects a list of paths');
    const expressionNames = {};
    const placeholder = namesFrom(expressionNames);
    const written = [];
    for (let i = 0; i < paths.length; i++) {
      charge(1);
      const parts = textOf(paths[i], 'projection').split('.');
      let path = '';
      for (let j = 0; j < parts.length; j++) {
        const part = matchOf(pathPart, parts[j]);
        if (part === null) throw fault(`projection expects paths, not ${paths[i]}`);
        path += `${j === 0 ? '' : '.'}${placeholder(part[1])}${part[2]}`;
      }
      written.push(path);
    }
    return { expression: written.join(', '), expressionNames };
  }

  /** Copies the members that were given, in this order; projection and filters are written as expressions. */
  function copyGiven(from, names, request) {
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const value = from[name];
      if (isNothing(value)) continue;
      request[name] = name === 'projection' ? projectionOf(value)
        : name === 'condition' || name === 'filter' ? conditionOf(value, name) : value;
    }
    return request;
  }

  const VERSIONING = ['condition', 'customPartitionKey', 'populateIndexFields', '_version'];
  const READING = ['index', 'limit', 'nextToken', 'filter', 'projection', 'consistentRead', 'scanIndexForward', 'select'];

  function marker(type, members) {
    const mark = { type, ...members };
    markers.add(mark);
    return mark;
  }

  const operations = {
    add: (value) => marker('OPERATION_ADD', { value }),
    remove: () => marker('OPERATION_REMOVE'),
    replace: (value) => marker('OPERATION_REPLACE', { value }),
    increment: (by = 1) => marker('OPERATION_INCREMENT', { by }),
    decrement: (by = 1) => marker('OPERATION_DECREMENT', { by }),
    append: (items) => marker('OPERATION_APPEND', { items }),
    prepend: (items) => marker('OPERATION_PREPEND', { items }),
    updateListItem: (value, index) => marker('OPERATION_UPDATE_LIST_ITEM', { value, index }),
  };

  function isListUpdate(value) {
    if (!isArray(value) || value.length === 0) return false;
    for (let i = 0; i < value.length; i++) {
      if (!(isRecord(value[i]) && markers.has(value[i]) && value[i].type === 'OPERATION_UPDATE_LIST_ITEM')) return false;
    }
    return true;
  }

  /** Writes an update: all that is set in one SET clause, then all that is removed in one REMOVE clause. */
  function updateOf(update) {
    if (!isRecord(update)) throw fault('update expects an object');
    const expressionNames = {};
    const expressionValues = {};
    const placeholder = namesFrom(expressionNames);
    const set = [];
    const removed = [];
    let count = 0;
    const bind = (value) => {
      const name = `:expValue_${++count}`;
      expressionValues[name] = typed(value, 0);
      return name;
    };
    const bindList = (items) => {
      if (!isArray(items)) throw fault('operations.append and operations.prepend expect a list');
      return bind(items);
    };

    function operation(path, mark) {
      switch (mark.type) {
        case 'OPERATION_ADD': case 'OPERATION_REPLACE': set.push(`${path} = ${bind(mark.value)}`); break;
        case 'OPERATION_INCREMENT': set.push(`${path} = ${path} + ${bind(mark.by)}`); break;
        case 'OPERATION_DECREMENT': set.push(`${path} = ${path} - ${bind(mark.by)}`); break;
        case 'OPERATION_APPEND': set.push(`${path} = list_append(${path}, ${bindList(mark.items)})`); break;
        case 'OPERATION_PREPEND': set.push(`${path} = list_append(${bindList(mark.items)}, ${path})`); break;
        case 'OPERATION_UPDATE_LIST_ITEM':
          if (!Number.isInteger(mark.index) || mark.index < 0) throw fault('operations.updateListItem expects an index');
          set.push(`${path}[${mark.index}] = ${bind(mark.value)}`);
          break;
        default: removed.push(path);
      }
    }

    function members(object, prefix, depth) {
      if (depth > DEPTH_MAX) throw fault(`An update is nested more than ${DEPTH_MAX} deep`);
      const names = keysOf(object);
      for (let i = 0; i < names.length; i++) {
        charge(1);
        const value = object[names[i]];
        if (value === undefined) continue;
        const path = prefix + placeholder(names[i]);
        if (value === null) {
          removed.push(path);
        } else if (isRecord(value)) {
          if (markers.has(value)) operation(path, value);
          else if (sets.has(value) || keysOf(value).length === 0) set.push(`${path} = ${bind(value)}`);
          else members(value, `${path}.`, depth + 1);
        } else if (isListUpdate(value)) {
          for (let j = 0; j < value.length; j++) operation(path, value[j]);
        } else {
          set.push(`${path} = ${bind(value)}`);
        }
      }
    }

    members(update, '', 0);
    const clauses = [];
    if (set.length > 0) clauses.push(`SET ${set.join(', ')}`);
    if (removed.length > 0) clauses.push(`REMOVE ${removed.join(', ')}`);
    if (clauses.length === 0) throw fault('update expects at least one attribute');
    const written = { expression: clauses.join(' '), expressionNames };
    if (count > 0) written.expressionValues = expressionValues;
    return written;
  }

  /** Converts each table's entry of a batch request. */
  function tablesOf(payload, name, convert) {
    const tables = input(input(payload, name).tables, `${name}: tables`);
    const converted = {};
    const names = keysOf(tables);
    for (let i = 0; i < names.length; i++) setMember(converted, names[i], convert(tables[names[i]]));
    return converted;
  }

  function listOf(list, name, convert) {
    if (!isArray(list)) throw fault(`${name} expects a list`);
    const converted = [];
    for (let i = 0; i < list.length; i++) {
      charge(1);
      converted.push(convert(list[i]));
    }
    return converted;
  }

  const itemOf = (item, name) => typedMembers(input(item, name), 0);

  const module = {
    get(payload) {
      const { key } = input(payload, 'get');
      return copyGiven(payload, ['consistentRead', 'projection'], { operation: 'GetItem', key: keyOf(key, 'get') });
    },
    put(payload) {
      const { key, item } = input(payload, 'put');
      return copyGiven(payload, VERSIONING, { operation: 'PutItem', key: keyOf(key, 'put'), attributeValues: itemOf(item, 'put: item') });
    },
    update(payload) {
      const { key, update } = input(payload, 'update');
      return copyGiven(payload, VERSIONING, { operation: 'UpdateItem', key: keyOf(key, 'update'), update: updateOf(update) });
    },
    remove(payload) {
      const { key } = input(payload, 'remove');
      return copyGiven(payload, VERSIONING, { operation: 'DeleteItem', key: keyOf(key, 'remove') });
    },
    query(payload) {
      const { query } = input(payload, 'query');
      return copyGiven(payload, READING, { operation: 'Query', query: conditionOf(query, 'query') });
    },
    scan(payload = {}) {
      return copyGiven(input(payload, 'scan'), [...READING, 'totalSegments', 'segment'], { operation: 'Scan' });
    },
    batchGet: (payload) => ({
      operation: 'BatchGetItem',
      tables: tablesOf(payload, 'batchGet', (table) => copyGiven(input(table, 'batchGet'), ['consistentRead', 'projection'], {
        keys: listOf(table.keys, 'batchGet: keys', (key) => keyOf(key, 'batchGet')),
      })),
    }),
    batchPut: (payload) => ({
      operation: 'BatchPutItem',
      tables: tablesOf(payload, 'batchPut', (items) => listOf(items, 'batchPut', (item) => itemOf(item, 'batchPut'))),
    }),
    batchDelete: (payload) => ({
      operation: 'BatchDeleteItem',
      tables: tablesOf(payload, 'batchDelete', (keys) => listOf(keys, 'batchDelete', (key) => keyOf(key, 'batchDelete'))),
    }),
    transactGet: (payload) => ({
      operation: 'TransactGetItems',
      transactItems: listOf(input(payload, 'transactGet').items, 'transactGet: items', (item) => {
        const { table, key } = input(item, 'transactGet');
        return copyGiven(item, ['projection'], { table: textOf(table, 'transactGet: table'), key: keyOf(key, 'transactGet') });
      }),
    }),
    transactWrite: (payload) => ({
      operation: 'TransactWriteItems',
      transactItems: listOf(input(payload, 'transactWrite').items, 'transactWrite: items', (entry) => {
        const { putItem, updateItem, deleteItem, conditionCheck } = input(entry, 'transactWrite');
        const item = input(putItem ?? updateItem ?? deleteItem ?? conditionCheck, 'transactWrite');
        const table = textOf(item.table, 'transactWrite: table');
        const key = keyOf(item.key, 'transactWrite');
        const operation = putItem ? 'PutItem' : updateItem ? 'UpdateItem' : deleteItem ? 'DeleteItem' : 'ConditionCheck';
        const request = { table, operation, key };
        if (putItem) request.attributeValues = itemOf(item.item, 'transactWrite: item');
        if (updateItem) request.update = updateOf(item.update);
        if (isNothing(item.condition)) return request;
        request.condition = { ...conditionOf(item.condition, 'condition') };
        if (item.returnValuesOnConditionCheckFailure !== undefined) {
          request.condition.returnValuesOnConditionCheckFailure = item.returnValuesOnConditionCheckFailure;
        }
        return request;
      }),
    }),
    toStringSet,
    toNumberSet,
    toBinarySet,
    operations,
  };

  internal.dynamodb = dynamodb;
  internal.transform = transform;
  internal.dynamodbModule = module;
  return internal;
})
