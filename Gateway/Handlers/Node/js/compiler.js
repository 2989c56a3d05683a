// Makes a handler module callable: checks it against APPSYNC_JS and turns it into one function expression.
//
// The module's text stays as it is, line by line, so that positions in stack traces mean something to its author. Nothing is printed from
// the syntax tree; text is only blanked (imports, `export`) or inserted (the iteration budget), and every insertion is reported, so that
// columns can be mapped back. For example
//
//     import { util } from '@aws-appsync/utils'
//     export const onPublish = (ctx) => ctx.events.filter((e) => e.payload)
//
// becomes
//
//     (function (__modules, __tick) { "use strict";const { "util": util } = __modules["@aws-appsync/utils"];
//     ;
//     ;      const onPublish = (ctx) =>(__tick(), ctx.events.filter((e) =>(__tick(), e.payload)))
//     ;return { onPublish: onPublish, onSubscribe: void 0 }; })
//
// The function runs once per call of a handler, so no state of the module outlives a call. Two things keep the result equal to the module:
// acorn has parsed the text as a module, so what only a module forbids is already refused; and what means something else in a script
// (`<!--`, `await` and `arguments` at the top, `import()`) is dealt with below.
//
// The completion value of this script is a function: acorn's namespace object in, `{ compile }` out. It uses nothing but the language.
(function (acorn) {
  'use strict';

  // Of the syntax tree, in levels; a parenthesis is about three. acorn and V8 recurse, and end at about twice this with a default stack.
  const NESTING_MAX = 500;
  // Of one chain (`a + b + c`, `a.b.c`), which costs the parsers less.
  const CHAIN_MAX = 2000;
  const TOO_DEEP = 'The code is too deeply nested';
  // How far a constant's value is followed to find out what it is.
  const INFERENCE_MAX = 8;

  // Of each severity. `~~~~` and so on would be a report much longer than the code.
  const PROBLEMS_MAX = 100;

  // The newest syntax that the oldest supported engine (Node 20) can run.
  const ECMA_VERSION = 2024;

  const MODULES = ['@aws-appsync/utils', '@aws-appsync/utils/dynamodb', '@aws-appsync/utils/rds', '@aws-appsync/utils/ai'];
  const HANDLERS = ['onPublish', 'onSubscribe'];

  // Names that exist in other JavaScript environments, and what to use instead where there is something. (Not every undeclared name: a
  // misspelled one is the author's business, and the list of what AppSync provides is not known to be complete.)
  const MISSING_GLOBALS = new Map([
    ['Date', 'use util.time'], ['RegExp', 'use util.matches'], ['crypto', 'use util.autoId'], ['fetch', 'use an HTTP data source'],
    ['atob', 'use util.base64Decode'], ['btoa', 'use util.base64Encode'], ['Buffer', 'use util.base64Encode and util.base64Decode'],
    ['Error', 'use util.error'], ['require', 'use import'], ['Map', 'use an object'],
    ...['Promise', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'FinalizationRegistry', 'Symbol', 'Proxy', 'Reflect', 'BigInt', 'Intl',
      'Atomics', 'WebAssembly', 'ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array',
      'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Iterator',
      'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError', 'eval', 'Function',
      'globalThis', 'window', 'self', 'global', 'document', 'navigator', 'process', 'module', 'exports', '__dirname', '__filename',
      'setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask', 'structuredClone',
      'XMLHttpRequest', 'WebSocket', 'Request', 'Response', 'Headers', 'FormData', 'Blob', 'URL', 'URLSearchParams', 'TextEncoder',
      'TextDecoder', 'AbortController', 'AbortSignal', 'EventTarget', 'performance', 'localStorage', 'sessionStorage',
    ].map((name) => [name, null]),
  ]);

  // What AWS's lint refuses, by receiver.
  const words = (text) => new Set(text.split(' '));
  const REFUSED_STATICS = {
    Array: words('from of'),
    Object: words('create freeze seal is isExtensible isFrozen isSealed defineProperty defineProperties getOwnPropertyDescriptor '
      + 'getOwnPropertyDescriptors getOwnPropertyNames getOwnPropertySymbols getPrototypeOf setPrototypeOf preventExtensions'),
    String: words('fromCharCode fromCodePoint raw'),
  };
  const REFUSED_METHODS = {
    Array: words('copyWithin entries keys values group groupToMap toString toLocaleString'),
    Object: words('toString valueOf hasOwnProperty propertyIsEnumerable'),
    String: words('charCodeAt localeCompare matchAll padStart padEnd repeat search toLocaleLowerCase toLocaleUpperCase toLocaleString '
      + 'valueOf'),
    Function: words('apply bind call'),
  };
  const RETURNS_STRING = words('charAt concat replace replaceAll slice substring toLowerCase toUpperCase trim trimStart trimEnd '
    + 'padStart padEnd repeat');
  const RETURNS_ARRAY = words('concat fill flat flatMap map filter reverse slice sort splice');

  const isFunction = (node) => /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type);

  // Of an import or export, which may be spelled as a string.
  const nameOf = (node) => node.type === 'Literal' ? node.value : node.name;

  const isLoop = (node) => /^(For|ForIn|ForOf|While|DoWhile)Statement$/.test(node.type);

  // A problem with the module that ends the compilation.
  class CodeError {
    constructor(offset, message) {
      this.offset = offset;
      this.message = message;
    }
  }

  // acorn, with a bound on its recursion. A stack that overflows all the same is caught in `compile`.
  const BoundedParser = acorn.Parser.extend((Parser) => {
    class Bounded extends Parser {
      constructor(options, input) {
        super(options, input);
        this.nesting = 0;
        this.chain = 0;
      }

      parseExprOp(...operands) {
        if (++this.chain > CHAIN_MAX) {
          throw new CodeError(this.start, TOO_DEEP);
        }
        const node = super.parseExprOp(...operands);
        this.chain--;
        return node;
      }
    }
    // What every recursion of the parser goes through.
    for (const name of ['parseStatement', 'parseMaybeAssign', 'parseMaybeUnary', 'parseExprAtom', 'parseBindingAtom']) {
      const parse = Parser.prototype[name];
      Bounded.prototype[name] = function (a, b, c, d) {
        if (++this.nesting > NESTING_MAX) {
          throw new CodeError(this.start, TOO_DEEP);
        }
        const node = parse.call(this, a, b, c, d);
        this.nesting--;
        return node;
      };
    }
    return Bounded;
  });

  // Parses a module, and notes of its tokens and comments what the tree does not say.
  function parse(source) {
    const noted = { names: new Set(), arrowEnds: [], defaultEnds: [], comments: [] };
    const parser = new BoundedParser({
      ecmaVersion: ECMA_VERSION,
      sourceType: 'module',
      allowHashBang: true,
      onToken(token) {
        switch (token.type.label) {
          case 'name': noted.names.add(token.value); break;
          case '=>': noted.arrowEnds.push(token.end); break;
          case 'default': noted.defaultEnds.push(token.end); break;
        }
      },
      onComment(block, text, start) {
        noted.comments.push({ block, text, start });
      },
    }, source);
    try {
      return { tree: parser.parse(), ...noted };
    } catch (error) {
      if (error instanceof CodeError) {
        throw error;
      }
      if (error instanceof SyntaxError && typeof error.pos === 'number') {
        throw new CodeError(error.pos, error.message.replace(/ \(\d+:\d+\)$/, ''));
      }
      if (error instanceof RangeError) {
        throw new CodeError(parser.start, TOO_DEEP);
      }
      throw error;
    }
  }

  // Calls `enter` before and `leave` after a node's children, in the order of the source as far as the tree has it. Not recursive: the
  // tree of `a.b.c...` is as deep as the chain is long.
  function walk(tree, enter, leave) {
    const stack = [{ node: tree, parent: null, key: null, depth: 1, left: false }];
    while (stack.length > 0) {
      const visit = stack[stack.length - 1];
      if (visit.left) {
        stack.pop();
        leave(visit.node, visit.parent, visit.key);
        continue;
      }
      visit.left = true;
      const { node, depth } = visit;
      if (depth > CHAIN_MAX) {
        throw new CodeError(node.start, TOO_DEEP);
      }
      enter(node, visit.parent, visit.key);
      const keys = Object.keys(node);
      for (let i = keys.length - 1; i >= 0; i--) {
        const key = keys[i];
        const value = node[key];
        if (Array.isArray(value)) {
          for (let j = value.length - 1; j >= 0; j--) {
            if (value[j] !== null) {
              stack.push({ node: value[j], parent: node, key, depth: depth + 1, left: false });
            }
          }
        } else if (value !== null && typeof value === 'object' && typeof value.type === 'string') {
          stack.push({ node: value, parent: node, key, depth: depth + 1, left: false });
        }
      }
    }
  }

  // ---- Names ----------------------------------------------------------------------------------------------------------------------------

  // The identifiers that a pattern binds.
  function boundNames(pattern) {
    const names = [];
    const open = [pattern];
    while (open.length > 0) {
      const node = open.pop();
      switch (node?.type) {
        case 'Identifier': names.push(node.name); break;
        case 'ObjectPattern': open.push(...node.properties); break;
        case 'Property': open.push(node.value); break;
        case 'ArrayPattern': open.push(...node.elements); break;
        case 'AssignmentPattern': open.push(node.left); break;
        case 'RestElement': open.push(node.argument); break;
      }
    }
    return names;
  }

  // Finds every scope and what is declared in it. A function's parameters and its body are one scope here, which no rule below can tell.
  function findScopes(tree) {
    const scopes = new Map();
    let scope = null;
    const open = (node, ofFunction) => {
      scope = { parent: scope, ofFunction, names: new Map() };
      scopes.set(node, scope);
    };
    // `initial` is the expression or function that the name is declared with (`var` may do so twice), `value` the same where the name
    // always stands for it.
    const declare = (target, name, value, initial = value) => {
      const before = target.names.get(name);
      target.names.set(name, before ? { value: null, initial: initial ?? before.initial } : { value, initial });
    };
    const functionScope = () => {
      let found = scope;
      while (!found.ofFunction) {
        found = found.parent;
      }
      return found;
    };

    walk(tree, (node, parent, key) => {
      switch (node.type) {
        case 'Program':
        case 'StaticBlock':
          open(node, true);
          break;
        case 'FunctionDeclaration':
        case 'FunctionExpression':
        case 'ArrowFunctionExpression':
          if (node.type === 'FunctionDeclaration' && node.id) {
            declare(scope, node.id.name, node);
          }
          open(node, true);
          if (node.type === 'FunctionExpression' && node.id) {
            declare(scope, node.id.name, node);
          }
          for (const parameter of node.params) {
            boundNames(parameter).forEach((name) => declare(scope, name, null));
          }
          break;
        case 'ClassDeclaration':
          if (node.id) {
            declare(scope, node.id.name, node);
          }
          break;
        case 'ClassExpression':
          open(node, false);
          if (node.id) {
            declare(scope, node.id.name, node);
          }
          break;
        case 'BlockStatement':
          if (!(key === 'body' && isFunction(parent))) {
            open(node, false);
          }
          break;
        case 'ForStatement':
        case 'ForInStatement':
        case 'ForOfStatement':
        case 'SwitchStatement':
          open(node, false);
          break;
        case 'CatchClause':
          open(node, false);
          boundNames(node.param).forEach((name) => declare(scope, name, null));
          break;
        case 'VariableDeclaration': {
          const target = node.kind === 'var' ? functionScope() : scope;
          for (const declarator of node.declarations) {
            const initial = declarator.id.type === 'Identifier' ? declarator.init : null;
            boundNames(declarator.id).forEach((name) => declare(target, name, node.kind === 'const' ? initial : null, initial));
          }
          break;
        }
        case 'ImportDeclaration':
          node.specifiers.forEach(({ local }) => declare(scope, local.name, null));
          break;
      }
    }, (node) => {
      if (scopes.has(node)) {
        scope = scopes.get(node).parent;
      }
    });
    return scopes;
  }

  // Whether an identifier in this place is the name of a value (or of a binding), and not of a member, a label or an export.
  function isReference(node, parent, key) {
    switch (parent.type) {
      case 'MemberExpression': return key === 'object' || parent.computed;
      case 'Property':
      case 'MethodDefinition':
      case 'PropertyDefinition': return key === 'value' || parent.computed;
      case 'LabeledStatement':
      case 'BreakStatement':
      case 'ContinueStatement':
      case 'MetaProperty': return false;
      case 'ImportSpecifier':
      case 'ExportSpecifier': return key === 'local';
      default: return true;
    }
  }

  // ---- Checks ---------------------------------------------------------------------------------------------------------------------------

  // Reports what APPSYNC_JS does not support, as far as the text alone shows it: `unsupported(offset, message)`; and what cannot run as the
  // module says: `error(offset, message)`.
  function check(source, tree, scopes, unsupported, error) {
    let scope = null;
    const functions = [];

    const resolve = (name) => {
      for (let at = scope; at !== null; at = at.parent) {
        const binding = at.names.get(name);
        if (binding !== undefined) {
          return binding;
        }
      }
      return null;
    };
    const isGlobal = (node, name) => node.type === 'Identifier' && node.name === name && resolve(name) === null;

    // 'String', 'Array', 'Object', 'Function' where an expression is certain to be one; else null.
    function kindOf(node, budget = INFERENCE_MAX) {
      if (budget === 0) {
        return null;
      }
      switch (node.type) {
        case 'Literal': return typeof node.value === 'string' ? 'String' : null;
        case 'TemplateLiteral': return 'String';
        case 'ArrayExpression': return 'Array';
        case 'ObjectExpression': return 'Object';
        case 'FunctionDeclaration':
        case 'FunctionExpression':
        case 'ArrowFunctionExpression': return 'Function';
        case 'UnaryExpression': return node.operator === 'typeof' ? 'String' : null;
        case 'BinaryExpression':
          return node.operator === '+' && [node.right, node.left].some((side) => kindOf(side, budget - 1) === 'String') ? 'String' : null;
        case 'Identifier': {
          const value = resolve(node.name)?.value;
          return value ? kindOf(value, budget - 1) : null;
        }
        case 'MemberExpression':
          return !node.computed && node.property.name === 'prototype'
            ? ['Array', 'Object', 'String'].find((name) => isGlobal(node.object, name)) ?? null
            : null;
        case 'CallExpression': {
          const { callee } = node;
          if (isGlobal(callee, 'String')) {
            return 'String';
          }
          if (callee.type !== 'MemberExpression' || callee.computed) {
            return null;
          }
          if (isGlobal(callee.object, 'Object') && ['keys', 'values', 'entries'].includes(callee.property.name)) {
            return 'Array';
          }
          switch (kindOf(callee.object, budget - 1)) {
            case 'String': return RETURNS_STRING.has(callee.property.name) ? 'String' : callee.property.name === 'split' ? 'Array' : null;
            case 'Array': return RETURNS_ARRAY.has(callee.property.name) ? 'Array' : callee.property.name === 'join' ? 'String' : null;
            default: return null;
          }
        }
        default: return null;
      }
    }

    function checkMember(node, parent, key) {
      const name = node.computed
        ? node.property.type === 'Literal' && typeof node.property.value === 'string' ? node.property.value : null
        : node.property.name;
      if (name === null) {
        return;
      }
      for (const type of Object.keys(REFUSED_STATICS)) {
        if (REFUSED_STATICS[type].has(name) && isGlobal(node.object, type)) {
          unsupported(node.start, `'${type}.${name}' is not supported by APPSYNC_JS`);
          return;
        }
      }
      // `counts.toString = 1` and `Object.prototype.toString.call(x)`: only the second uses the method.
      const used = (parent.type === 'CallExpression' && key === 'callee')
        || (node.object.type === 'MemberExpression' && parent.type === 'MemberExpression');
      // An object may have such a method of its own.
      const kind = used ? kindOf(node.object) : null;
      if (kind !== null && REFUSED_METHODS[kind].has(name) && !(kind === 'Object' && node.object.type !== 'MemberExpression')) {
        unsupported(node.property.start, `The ${kind.toLowerCase()} method '${name}' is not supported by APPSYNC_JS`);
      }
    }

    function checkCall(node) {
      const { callee } = node;
      if (callee.type === 'Identifier') {
        // Bundlers write `var` for `const`, and nobody assigns to a function's name.
        const initial = resolve(callee.name)?.initial;
        if (initial && functions.includes(initial)) {
          unsupported(node.start, `Recursion is not supported by APPSYNC_JS: '${callee.name}' calls itself`);
        }
      } else if (callee.type === 'MemberExpression' && !callee.computed && callee.property.name === 'sort' && node.arguments.length > 0
        && kindOf(node.arguments[0]) === 'Function') {
        unsupported(callee.property.start, "'sort' takes no compare function in APPSYNC_JS");
      }
    }

    function checkIdentifier(node, parent, key) {
      if (!isReference(node, parent, key) || resolve(node.name) !== null) {
        return;
      }
      if (node.name === 'arguments' && functions.every((enclosing) => enclosing.type === 'ArrowFunctionExpression')) {
        error(node.start, "'arguments' can only be used in functions");
      } else if (MISSING_GLOBALS.has(node.name) && !(parent.type === 'UnaryExpression' && parent.operator === 'typeof')) {
        const instead = MISSING_GLOBALS.get(node.name);
        unsupported(node.start, `'${node.name}' does not exist in APPSYNC_JS${instead === null ? '' : `; ${instead}`}`);
      }
    }

    const refuse = (node, what) => unsupported(node.start, `${what} not supported by APPSYNC_JS`);

    // Outside of functions there is nothing that could wait: modules run synchronously here.
    const refuseAwait = (node, what) => functions.length === 0
      ? error(node.start, "'await' can only be used in functions")
      : refuse(node, what);

    walk(tree, (node, parent, key) => {
      if (scopes.has(node)) {
        scope = scopes.get(node);
      }
      switch (node.type) {
        case 'FunctionDeclaration':
        case 'FunctionExpression':
        case 'ArrowFunctionExpression': {
          functions.push(node);
          // A method's own node starts at its parameters.
          const whole = parent.type === 'MethodDefinition' || (parent.type === 'Property' && parent.method) ? parent : node;
          if (node.generator) {
            refuse(whole, 'Generators are');
          }
          if (node.async) {
            refuse(whole, "'async' functions are");
          }
          break;
        }
        case 'Identifier': checkIdentifier(node, parent, key); break;
        case 'MemberExpression': checkMember(node, parent, key); break;
        case 'CallExpression': checkCall(node); break;
        case 'ClassDeclaration':
        case 'ClassExpression': refuse(node, "'class' is"); break;
        case 'ThisExpression': refuse(node, "'this' is"); break;
        case 'Super': refuse(node, "'super' is"); break;
        case 'NewExpression': refuse(node, "'new' is"); break;
        case 'YieldExpression': refuse(node, "'yield' is"); break;
        case 'AwaitExpression': refuseAwait(node, "'await' is"); break;
        case 'TryStatement': refuse(node, "'try' statements are"); break;
        case 'ThrowStatement': unsupported(node.start, "'throw' statements are not supported by APPSYNC_JS; use util.error"); break;
        case 'WhileStatement': refuse(node, "'while' loops are"); break;
        case 'DoWhileStatement': refuse(node, "'do' loops are"); break;
        case 'ForStatement':
          unsupported(node.start, "'for' loops with a counter are not supported by APPSYNC_JS; use 'for...of' or 'for...in'");
          break;
        case 'ForOfStatement':
          if (node.await) {
            refuseAwait(node, "'for await' loops are");
          }
          break;
        case 'ContinueStatement': refuse(node, "'continue' is"); break;
        case 'LabeledStatement': refuse(node, 'Labels are'); break;
        case 'DebuggerStatement': refuse(node, "'debugger' is"); break;
        case 'Literal':
          if (node.regex) {
            unsupported(node.start, 'Regular expression literals are not supported by APPSYNC_JS; use util.matches');
          }
          break;
        case 'UpdateExpression':
          unsupported(node.start, `'${node.operator}' is not supported by APPSYNC_JS; use '${node.operator[0]}= 1'`);
          break;
        case 'UnaryExpression':
          if (node.operator === '~') {
            refuse(node, "'~' is");
          }
          break;
        case 'BinaryExpression':
          // Three operators to acorn, a comment to a script, and an error to every engine's modules.
          if (node.operator === '<' && source.startsWith('<!--', node.right.start - 1)) {
            error(node.right.start - 1, 'HTML comments are not allowed in modules');
          }
          if (node.operator === 'in' || node.operator === 'instanceof') {
            refuse(node, `'${node.operator}' is`);
          }
          break;
        case 'Property':
          if (node.kind !== 'init') {
            refuse(node, node.kind === 'get' ? 'Getters are' : 'Setters are');
          }
          break;
        case 'MethodDefinition':
          if (node.kind === 'get' || node.kind === 'set') {
            refuse(node, node.kind === 'get' ? 'Getters are' : 'Setters are');
          }
          break;
        case 'ImportExpression': refuse(node, "'import()' is"); break;
        case 'MetaProperty': refuse(node, `'${node.meta.name}.${node.property.name}' is`); break;
        case 'ExportDefaultDeclaration': refuse(node, 'A default export is'); break;
        case 'ExportSpecifier':
          if (nameOf(node.exported) === 'default') {
            refuse(node, 'A default export is');
          }
          break;
      }
    }, (node) => {
      if (isFunction(node)) {
        functions.pop();
      }
      if (scopes.has(node)) {
        scope = scopes.get(node).parent;
      }
    });
  }

  // Reads the imports and exports: `imports` are the statements of the prologue, `exports` the local names behind the exported ones.
  function readModule(tree, modulesName, error) {
    const imports = [];
    const exports = new Map();
    for (const node of tree.body) {
      switch (node.type) {
        case 'ImportDeclaration': {
          const from = node.source.value;
          if (!MODULES.includes(from)) {
            error(node.source.start, `Cannot find module '${from}'; there are ${MODULES.map((name) => `'${name}'`).join(', ')}`);
            break;
          }
          const members = [];
          for (const specifier of node.specifiers) {
            if (specifier.type === 'ImportNamespaceSpecifier') {
              imports.push(`const ${specifier.local.name} = ${modulesName}[${JSON.stringify(from)}];`);
            } else if (specifier.type === 'ImportDefaultSpecifier' || nameOf(specifier.imported) === 'default') {
              error(specifier.start, `Module '${from}' has no default export`);
            } else {
              members.push(`${JSON.stringify(nameOf(specifier.imported))}: ${specifier.local.name}`);
            }
          }
          if (members.length > 0) {
            imports.push(`const { ${members.join(', ')} } = ${modulesName}[${JSON.stringify(from)}];`);
          }
          break;
        }
        case 'ExportNamedDeclaration':
          if (node.source) {
            error(node.start, "'export ... from' is not supported; import the names, and export them");
          } else if (node.declaration?.type === 'VariableDeclaration') {
            node.declaration.declarations.flatMap(({ id }) => boundNames(id)).forEach((name) => exports.set(name, name));
          } else if (node.declaration) {
            exports.set(node.declaration.id.name, node.declaration.id.name);
          } else {
            node.specifiers.forEach(({ local, exported }) => exports.set(nameOf(exported), nameOf(local)));
          }
          break;
        case 'ExportAllDeclaration':
          error(node.start, "'export ... from' is not supported; import the names, and export them");
          break;
      }
    }
    if (!HANDLERS.some((name) => exports.has(name))) {
      error(0, "The code exports neither 'onPublish' nor 'onSubscribe'");
    }
    return { imports, exports };
  }

  // 'object' where a top-level name visibly stands for an object literal, else 'function'.
  function kindOfExport(moduleScope, name) {
    let initial = moduleScope.names.get(name)?.initial;
    for (let i = 0; i < INFERENCE_MAX && initial?.type === 'Identifier'; i++) {
      initial = moduleScope.names.get(initial.name)?.initial;
    }
    return initial?.type === 'ObjectExpression' ? 'object' : 'function';
  }

  // ---- Transformation -------------------------------------------------------------------------------------------------------------------

  const blank = (text) => text.replace(/[^\r\n\u2028\u2029]/g, ' ');

  // Lists what to overwrite (by a text of the same length) and what to insert. Insertions at one place are in the order of the result.
  function edit(source, { tree, arrowEnds, defaultEnds, comments }, tickCall, defaultName) {
    const overwrites = [];
    const insertions = [];
    const insert = (offset, text) => insertions.push({ offset, text });
    // Blanked statements leave a semicolon: the one before may end only because this one begins.
    const overwrite = (start, end, head) => overwrites.push({ start, text: head + blank(source.slice(start + head.length, end)) });

    if (source.startsWith('#!')) {
      overwrite(0, 2, '//');
    }
    for (const { block, text, start } of comments) {
      // `//# sourceURL=` would rename the file in stack traces.
      if (!block && (text[0] === '#' || text[0] === '@') && source.startsWith('//', start)) {
        overwrite(start + 2, start + 3, ' ');
      }
    }

    // The last `=>` before a body: the parameters may hold arrows too.
    const endOfArrow = (body) => {
      let low = 0;
      for (let high = arrowEnds.length; high - low > 1;) {
        const middle = (low + high) >> 1;
        if (arrowEnds[middle] <= body.start) {
          low = middle;
        } else {
          high = middle;
        }
      }
      return arrowEnds[low];
    };

    const enterFunctionBody = (node) => {
      const { body } = node;
      if (body.type !== 'BlockStatement') {
        insert(endOfArrow(body), `(${tickCall},`);
        return;
      }
      const directives = body.body.filter((statement) => typeof statement.directive === 'string');
      if (directives.length > 0) {
        insert(directives[directives.length - 1].end, `;${tickCall};`);
      } else {
        insert(body.start + 1, `${tickCall};`);
      }
    };

    walk(tree, (node, parent, key) => {
      switch (node.type) {
        case 'FunctionDeclaration':
        case 'FunctionExpression':
        case 'ArrowFunctionExpression':
          enterFunctionBody(node);
          break;
        case 'ExpressionStatement':
          // The budget makes it invalid, of which V8 would warn the process. A directive's text has no other meaning.
          if (node.directive === 'use asm') {
            overwrite(node.expression.start + 1, node.expression.end - 1, '');
          }
          break;
        case 'ImportDeclaration':
          overwrite(node.start, node.end, ';');
          break;
        case 'ExportNamedDeclaration':
          overwrite(node.start, node.declaration ? node.start + 'export'.length : node.end, ';');
          break;
        case 'ExportDefaultDeclaration': {
          const end = defaultEnds.find((offset) => offset > node.start);
          overwrite(node.start, end, ';');
          // A function with a name stays a declaration, which is hoisted.
          if (!(node.declaration.id && /Declaration$/.test(node.declaration.type))) {
            insert(end, ` const ${defaultName} =`);
          }
          break;
        }
        case 'ImportExpression':
        case 'MetaProperty':
          // Not only because a script cannot have them: Node answers import() in a `vm` script with an error object of its own realm, and
          // through its constructor lies everything that the context keeps away. `null` fails when it is called or read.
          if (node.type === 'ImportExpression') {
            overwrite(node.start, node.start + 'import'.length, 'null');
          } else if (node.meta.name === 'import') {
            overwrite(node.start, node.end, 'null');
          }
          break;
      }
      if (key === 'body' && isLoop(parent)) {
        if (node.type === 'BlockStatement') {
          insert(node.start + 1, `${tickCall};`);
        } else {
          insert(node.start, `{${tickCall};`);
        }
      }
    }, (node, parent, key) => {
      if (node.type === 'ArrowFunctionExpression' && node.body.type !== 'BlockStatement') {
        insert(node.end, ')');
      }
      if (node.type === 'ExportDefaultDeclaration' && /Declaration$/.test(node.declaration.type) && !node.declaration.id) {
        insert(node.declaration.end, ';');
      }
      if (key === 'body' && node.type !== 'BlockStatement' && isLoop(parent)) {
        insert(node.end, '}');
      }
    });
    return {
      overwrites: overwrites.sort((a, b) => a.start - b.start),
      insertions: insertions.sort((a, b) => a.offset - b.offset),
    };
  }

  // Splits an offset into a 1-based line and column, with the line ends of the language (and of V8).
  function makeLocator(source) {
    const starts = [0];
    for (const match of source.matchAll(/\r\n?|[\n\u2028\u2029]/g)) {
      starts.push(match.index + match[0].length);
    }
    return (offset) => {
      let low = 0;
      for (let high = starts.length; high - low > 1;) {
        const middle = (low + high) >> 1;
        if (starts[middle] <= offset) {
          low = middle;
        } else {
          high = middle;
        }
      }
      return { line: low + 1, column: offset - starts[low] + 1 };
    };
  }

  // The source after its edits, and where the insertions are in it.
  function apply(source, { overwrites, insertions }, locate) {
    let overwritten = '';
    let offset = 0;
    for (const { start, text } of overwrites) {
      // Comments within a blanked import are gone already.
      if (start >= offset) {
        overwritten += source.slice(offset, start) + text;
        offset = start + text.length;
      }
    }
    overwritten += source.slice(offset);

    let code = '';
    const inserted = [];
    let last = null;
    offset = 0;
    for (const insertion of insertions) {
      code += overwritten.slice(offset, insertion.offset) + insertion.text;
      const { line, column } = locate(insertion.offset);
      if (last !== null && last.offset === insertion.offset) {
        last.entry[2] += insertion.text.length;
      } else {
        const shift = last !== null && last.entry[0] === line ? last.shift : 0;
        last = { offset: insertion.offset, entry: [line, column + shift, 0], shift };
        last.entry[2] = insertion.text.length;
        inserted.push(last.entry);
      }
      last.shift += insertion.text.length;
      offset = insertion.offset;
    }
    return { code: code + overwritten.slice(offset), inserted };
  }

  // `wanted`, or the first of `wanted1`, `wanted2`, ... that the module does not use.
  function unusedName(names, wanted) {
    let name = wanted;
    for (let i = 1; names.has(name); i++) {
      name = wanted + i;
    }
    return name;
  }

  // Compiles a module. Never throws. See the top of this file for the result's `code`;
  //   lineOffset  lines of `code` before the module's first
  //   insertions  [line, column, length]: what was inserted, by line of the module and column in `code`, both from 1, in their order
  //   exports     per handler 'function', 'object' (request and response) or null
  //   problems    by position: 'error' when the module cannot run (and `code` is null), 'unsupported' when AppSync would refuse it
  // V8 compiles the outcome as a script, where some texts mean something else than in a module: what looks like an HTML comment, above all.
  // So it is read once more, as V8 will. An `import()` that only shows then would give code an object of the host's.
  function verify(code) {
    let tree;
    try {
      tree = acorn.parse(code, { ecmaVersion: ECMA_VERSION, sourceType: 'script' });
    } catch (problem) {
      throw problem instanceof SyntaxError ? new CodeError(0, 'The code means different things as a module and as a script') : problem;
    }
    walk(tree, ({ type }) => {
      if (type === 'ImportExpression') {
        throw new CodeError(0, "The code hides an 'import'");
      }
    }, () => {});
  }

  function compile(text) {
    const source = text.charCodeAt(0) === 0xFEFF ? text.slice(1) : text;
    const locate = makeLocator(source);
    const found = [];
    const report = (severity) => {
      let count = 0;
      return (offset, message) => {
        if (++count <= PROBLEMS_MAX) {
          found.push({ offset, message, severity });
        }
      };
    };
    const error = report('error');
    const result = { code: null, lineOffset: 1, insertions: [], exports: { onPublish: null, onSubscribe: null }, problems: [] };
    try {
      const parsed = parse(source);
      const { tree, names } = parsed;
      const [modulesName, tickName, defaultName] = ['__modules', '__tick', '__default'].map((name) => unusedName(names, name));
      const scopes = findScopes(tree);
      check(source, tree, scopes, report('unsupported'), error);
      const { imports, exports } = readModule(tree, modulesName, error);
      for (const name of HANDLERS) {
        if (exports.has(name)) {
          result.exports[name] = kindOfExport(scopes.get(tree), exports.get(name));
        }
      }
      if (!found.some(({ severity }) => severity === 'error')) {
        const { code, inserted } = apply(source, edit(source, parsed, `${tickName}()`, defaultName), locate);
        const returned = HANDLERS.map((name) => `${name}: ${exports.get(name) ?? 'void 0'}`).join(', ');
        const program = `(function (${modulesName}, ${tickName}) { "use strict";${imports.join('')}\n${code}\n;return { ${returned} }; })`;
        verify(program);
        result.code = program;
        result.insertions = inserted;
      }
    } catch (problem) {
      if (problem instanceof CodeError) {
        error(problem.offset, problem.message);
      } else {
        error(0, problem instanceof RangeError ? TOO_DEEP : `The code cannot be compiled: ${problem}`);
      }
    }
    result.problems = found.sort((a, b) => a.offset - b.offset)
      .map(({ offset, message, severity }) => ({ ...locate(offset), message, severity }));
    return result;
  }

  return { compile };
})
