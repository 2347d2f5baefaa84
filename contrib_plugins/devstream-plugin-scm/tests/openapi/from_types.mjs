// Turns the types that openapi-typescript makes of a description back into a description, as far as types go.
//
//     npm install typescript @coderabbitai/bitbucket
//     node from_types.mjs openapi-typescript.d.ts "Bitbucket Cloud" /2.0 > source.json
//
// What types do not say is lost: formats, patterns and lengths; whole numbers are numbers.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const ts = createRequire(`${process.cwd()}/`)("typescript");
const [path, title, base] = process.argv.slice(2);
const kinds = ts.SyntaxKind;
const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true);
const roots = new Map(file.statements.filter(ts.isInterfaceDeclaration).map((one) => [one.name.text, one]));
const simple = new Map([
  [kinds.StringKeyword, { type: "string" }],
  [kinds.NumberKeyword, { type: "number" }],
  [kinds.BooleanKeyword, { type: "boolean" }],
  [kinds.UnknownKeyword, {}],
  [kinds.AnyKeyword, {}],
]);

const members = (node) =>
  new Map(node.members.filter(ts.isPropertySignature).map((one) => [nameOf(one.name), one]));
const nameOf = (node) => node.text ?? node.getText();
const isNever = (one) => one === undefined || one.type.kind === kinds.NeverKeyword;
const isNull = (node) => ts.isLiteralTypeNode(node) && node.literal.kind === kinds.NullKeyword;

function literal(node) {
  if (ts.isStringLiteral(node)) return node.text;
  if (ts.isNumericLiteral(node)) return Number(node.text);
  return node.kind === kinds.TrueKeyword;
}

function union(node) {
  const rest = node.types.filter((one) => !isNull(one));
  const nullable = rest.length < node.types.length ? { nullable: true } : {};
  if (rest.every(ts.isLiteralTypeNode)) {
    const values = rest.map((one) => literal(one.literal));
    return { type: typeof values[0], enum: values, ...nullable };
  }
  const [first, ...others] = rest.map(schema);
  return others.length ? { anyOf: [first, ...others], ...nullable } : { ...first, ...nullable };
}

// A part that says nothing (Record<string, unknown>) is left out: it would let every field pass.
function intersection(node) {
  const parts = node.types.filter((one) => !ts.isTypeReferenceNode(one) || one.typeName.getText() !== "Record").map(schema);
  return parts.length === 1 ? parts[0] : { allOf: parts };
}

function object(node) {
  const named = [...members(node)].filter(([, one]) => !isNever(one));
  const made = { type: "object" };
  if (named.length) made.properties = Object.fromEntries(named.map(([name, one]) => [name, schema(one.type)]));
  const required = named.filter(([, one]) => !one.questionToken).map(([name]) => name);
  if (required.length) made.required = required;
  const index = node.members.find(ts.isIndexSignatureDeclaration);
  if (index || !named.length) made.additionalProperties = index ? schema(index.type) : true;
  return made;
}

function reference(node) {
  const name = node.typeName.getText();
  const [first, second] = node.typeArguments ?? [];
  if (name === "Record") return { type: "object", additionalProperties: schema(second) };
  if (["Readonly", "Omit", "Required", "WithRequired"].includes(name)) return schema(first);
  if (["ReadonlyArray", "Array"].includes(name)) return { type: "array", items: schema(first) };
  throw new Error(`${name} is not known`);
}

function schema(node) {
  if (simple.has(node.kind)) return { ...simple.get(node.kind) };
  if (ts.isParenthesizedTypeNode(node) || ts.isTypeOperatorNode(node)) return schema(node.type);
  if (ts.isArrayTypeNode(node)) return { type: "array", items: schema(node.elementType) };
  if (ts.isLiteralTypeNode(node)) return { type: typeof literal(node.literal), enum: [literal(node.literal)] };
  if (ts.isUnionTypeNode(node)) return union(node);
  if (ts.isIntersectionTypeNode(node)) return intersection(node);
  if (ts.isTypeLiteralNode(node)) return object(node);
  if (ts.isTypeReferenceNode(node)) return reference(node);
  const steps = node.getText().match(/^(\w+)\["(\w+)"\]\["([^"]+)"\]$/);
  if (steps) return { $ref: `#/${steps.slice(1).join("/")}` };
  throw new Error(`${kinds[node.kind]} is not known: ${node.getText().slice(0, 80)}`);
}

function parameters(node) {
  return ["path", "query"].flatMap((where) => {
    const group = members(node).get(where);
    return isNever(group)
      ? []
      : [...members(group.type)].map(([name, one]) => ({
          name,
          in: where,
          required: !one.questionToken,
          schema: schema(one.type),
        }));
  });
}

function content(node) {
  const group = members(node).get("content");
  if (isNever(group)) return {};
  const kinds = [...members(group.type)].map(([kind, one]) => [kind, { schema: schema(one.type) }]);
  return { content: Object.fromEntries(kinds) };
}

function body(one) {
  if (isNever(one)) return {};
  if (!ts.isTypeLiteralNode(one.type)) return { requestBody: schema(one.type) };
  return { requestBody: { required: !one.questionToken, ...content(one.type) } };
}

function response(one) {
  return ts.isTypeLiteralNode(one.type) ? { description: "", ...content(one.type) } : schema(one.type);
}

function operation(type) {
  const steps = type.getText().match(/^operations\["([^"]+)"\]$/);
  const parts = members(steps ? members(roots.get("operations")).get(steps[1]).type : type);
  const answers = [...members(parts.get("responses").type)].map(([status, one]) => [status, response(one)]);
  return {
    parameters: parameters(parts.get("parameters").type),
    ...body(parts.get("requestBody")),
    responses: Object.fromEntries(answers),
  };
}

function operations(node) {
  const named = [...members(node)].filter(([name, one]) => name !== "parameters" && !isNever(one));
  return Object.fromEntries(named.map(([method, one]) => [method, operation(one.type)]));
}

function components() {
  const groups = members(roots.get("components"));
  const made = {
    schemas: schema,
    requestBodies: (type) => ({ required: true, ...content(type) }),
    responses: (type) => response({ type }),
  };
  return Object.fromEntries(
    Object.entries(made)
      .filter(([group]) => !isNever(groups.get(group)))
      .map(([group, turn]) => [
        group,
        Object.fromEntries([...members(groups.get(group).type)].map(([name, one]) => [name, named(name, turn(one.type))])),
      ]),
  );
}

// openapi-typescript makes up the value of a discriminator: it takes the name of the schema.
function named(name, made) {
  const type = made.allOf?.[0].properties?.type;
  if (type?.enum?.length === 1 && type.enum[0] === name) delete type.enum;
  return made;
}

const paths = [...members(roots.get("paths"))].map(([name, one]) => [name, operations(one.type)]);
console.log(
  JSON.stringify({
    openapi: "3.0.1",
    info: { title, version: "", license: { name: "Apache 2.0" } },
    servers: [{ url: base }],
    paths: Object.fromEntries(paths),
    components: components(),
  }),
);
