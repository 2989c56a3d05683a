using System.Globalization;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>Each function in short YAML, long YAML and JSON, seen through the value of an output.</summary>
public sealed class IntrinsicFunctionTests : IDisposable
{
    private const string Head = """
        {
          "Transform": "AWS::LanguageExtensions",
          "Parameters": {
            "Env": {"Type": "String", "Default": "dev"},
            "Names": {"Type": "CommaDelimitedList", "Default": "a, b ,c"},
            "Numbers": {"Type": "List<Number>", "Default": "1,2"},
            "Stored": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/some/key"}
          },
          "Mappings": {"Sizes": {"dev": {"small": "1", "list": ["x", "y"]}}},
          "Conditions": {
            "IsDev": {"Fn::Equals": [{"Ref": "Env"}, "dev"]},
            "IsProd": {"Fn::Not": [{"Condition": "IsDev"}]},
            "Both": {"Fn::And": [{"Condition": "IsDev"}, {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]}]},
            "Neither": {"Fn::Or": [{"Condition": "IsProd"}, {"Fn::Equals": ["1", 2]}]},
            "SameList": {"Fn::Equals": [{"Ref": "Names"}, ["a", "b", "c"]]}
          },
          "Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "logs", "Broken": {"Fn::Nonsense": []}}}},
          "Outputs": {"Value": {"Value":
        """;

    private readonly TemplateFixture _fixture = new();

    public static TheoryData<string, string, string, string> Functions => new()
    {
        { "!Ref Env", "{Ref: Env}", """{"Ref": "Env"}""", "dev" },
        { "!Ref Stored", "{Ref: Stored}", """{"Ref": "Stored"}""", "/some/key" },
        { "!Ref AWS::Region", "{Ref: AWS::Region}", """{"Ref": "AWS::Region"}""", "us-east-1" },
        { "!Ref AWS::Partition", "{Ref: AWS::Partition}", """{"Ref": "AWS::Partition"}""", "aws" },
        { "!Ref AWS::URLSuffix", "{Ref: AWS::URLSuffix}", """{"Ref": "AWS::URLSuffix"}""", "amazonaws.com" },
        { "!Ref AWS::StackName", "{Ref: AWS::StackName}", """{"Ref": "AWS::StackName"}""", "stack" },
        { "!Ref Role", "{Ref: Role}", """{"Ref": "Role"}""", "logs" },
        { "!GetAtt Role.Arn", "{Fn::GetAtt: Role.Arn}", """{"Fn::GetAtt": ["Role", "Arn"]}""", "arn:aws:iam::000000000000:role/logs" },
        { "!GetAtt [Role, Arn]", "{Fn::GetAtt: [Role, Arn]}", """{"Fn::GetAtt": "Role.Arn"}""", "arn:aws:iam::000000000000:role/logs" },
        { "!Sub '${Env}-${AWS::Region}'", "{Fn::Sub: '${Env}-${AWS::Region}'}", """{"Fn::Sub": "${Env}-${AWS::Region}"}""", "dev-us-east-1" },
        { "!Sub '${Role.Arn}|${Role}'", "{Fn::Sub: '${Role.Arn}|${Role}'}", """{"Fn::Sub": "${Role.Arn}|${Role}"}""", "arn:aws:iam::000000000000:role/logs|logs" },
        { "!Sub '${!Env} $Env $${Env} ${'", "{Fn::Sub: '${!Env} $Env $${Env} ${'}", """{"Fn::Sub": "${!Env} $Env $${Env} ${"}""", "${Env} $Env $dev ${" },
        { "!Sub ['${Env}${X}', {Env: map, X: !Ref Env}]", "{Fn::Sub: ['${Env}${X}', {Env: map, X: {Ref: Env}}]}", """{"Fn::Sub": ["${Env}${X}", {"Env": "map", "X": {"Ref": "Env"}}]}""", "mapdev" },
        { "!Join ['-', [a, !Ref Env, 3]]", "{Fn::Join: ['-', [a, {Ref: Env}, 3]]}", """{"Fn::Join": ["-", ["a", {"Ref": "Env"}, 3]]}""", "a-dev-3" },
        { "!Join ['+', !Ref Names]", "{Fn::Join: ['+', {Ref: Names}]}", """{"Fn::Join": ["+", {"Ref": "Names"}]}""", "a+b+c" },
        { "!Join ['+', [a, !Ref AWS::NoValue]]", "{Fn::Join: ['+', [a, {Ref: AWS::NoValue}]]}", """{"Fn::Join": ["+", ["a", {"Ref": "AWS::NoValue"}]]}""", "a" },
        { "!Select ['1', !Ref Names]", "{Fn::Select: ['1', {Ref: Names}]}", """{"Fn::Select": ["1", {"Ref": "Names"}]}""", "b" },
        { "!Select [1, !Ref Numbers]", "{Fn::Select: [1, {Ref: Numbers}]}", """{"Fn::Select": [1, {"Ref": "Numbers"}]}""", "2" },
        { "!Select [0, [a, !Nonsense b]]", "{Fn::Select: [0, [a, {Fn::Nonsense: b}]]}", """{"Fn::Select": [0, ["a", {"Fn::Nonsense": "b"}]]}""", "a" },
        { "!Select [1, !Split [':', 'a:b:c']]", "{Fn::Select: [1, {Fn::Split: [':', 'a:b:c']}]}", """{"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}""", "b" },
        { "!If [IsDev, yes, !Nonsense 1]", "{Fn::If: [IsDev, yes, {Fn::Nonsense: 1}]}", """{"Fn::If": ["IsDev", "yes", {"Fn::Nonsense": 1}]}""", "yes" },
        { "!If [IsProd, 1, no]", "{Fn::If: [IsProd, 1, no]}", """{"Fn::If": ["IsProd", 1, "no"]}""", "no" },
        { "!If [Both, 012345678901, 1]", "{Fn::If: [Both, 012345678901, 1]}", """{"Fn::If": ["Both", "012345678901", 1]}""", "012345678901" },
        { "!If [Neither, 1, 1:30]", "{Fn::If: [Neither, 1, 1:30]}", """{"Fn::If": ["Neither", 1, "1:30"]}""", "1:30" },
        { "!If [SameList, on, off]", "{Fn::If: [SameList, on, off]}", """{"Fn::If": ["SameList", "on", "off"]}""", "on" },
        { "!FindInMap [Sizes, !Ref Env, small]", "{Fn::FindInMap: [Sizes, {Ref: Env}, small]}", """{"Fn::FindInMap": ["Sizes", {"Ref": "Env"}, "small"]}""", "1" },
        { "!Join [',', !FindInMap [Sizes, dev, list]]", "{Fn::Join: [',', {Fn::FindInMap: [Sizes, dev, list]}]}", """{"Fn::Join": [",", {"Fn::FindInMap": ["Sizes", "dev", "list"]}]}""", "x,y" },
        { "!FindInMap [Sizes, dev, no, {DefaultValue: d}]", "{Fn::FindInMap: [Sizes, dev, no, {DefaultValue: d}]}", """{"Fn::FindInMap": ["Sizes", "dev", "no", {"DefaultValue": "d"}]}""", "d" },
        { "!Base64 héllo", "{Fn::Base64: héllo}", """{"Fn::Base64": "h\u00e9llo"}""", "aMOpbGxv" },
        { "!ToJsonString {a: !Ref Env, n: 1, t: true, q: '1', z: 012, l: [!Ref AWS::NoValue, <]}", "{Fn::ToJsonString: {a: {Ref: Env}, n: 1, t: true, q: '1', z: 012, l: [{Ref: AWS::NoValue}, <]}}", """{"Fn::ToJsonString": {"a": {"Ref": "Env"}, "n": 1, "t": true, "q": "1", "z": "012", "l": [{"Ref": "AWS::NoValue"}, "<"]}}""", """{"a":"dev","n":1,"t":true,"q":"1","z":"012","l":["<"]}""" },
        { "!Length [a, !Ref AWS::NoValue, b]", "{Fn::Length: [a, {Ref: AWS::NoValue}, b]}", """{"Fn::Length": ["a", {"Ref": "AWS::NoValue"}, "b"]}""", "2" },
        { "!ImportValue other-stack", "{Fn::ImportValue: other-stack}", """{"Fn::ImportValue": "other-stack"}""", "from there" },
        { "!ImportValue {Fn::Sub: 'other-${Env}'}", "{Fn::ImportValue: {Fn::Sub: 'other-${Env}'}}", """{"Fn::ImportValue": {"Fn::Sub": "other-${Env}"}}""", "for dev" },
    };

    [Theory]
    [MemberData(nameof(Functions))]
    public void A_function_evaluates_alike_in_short_yaml_long_yaml_and_json(string shortYaml, string longYaml, string json, string expected)
    {
        var options = TemplateFixture.Options with
        {
            Exports = new Dictionary<string, string> { ["other-stack"] = "from there", ["other-dev"] = "for dev" },
        };
        foreach (var (value, name) in new[] { (shortYaml, "stack.yaml"), (longYaml, "stack.yaml"), (json, "stack.json") })
        {
            var result = _fixture.Load($"{Head} {value} }} }} }}", options, name);
            Assert.Equal(expected, Assert.Single(result.Outputs).Value);
        }
    }

    [Theory]
    [InlineData("!Ref Nowhere", "there is no parameter, resource or pseudo parameter 'Nowhere'")]
    [InlineData("!Ref AWS::Nothing", "there is no pseudo parameter 'AWS::Nothing'")]
    [InlineData("!Ref AWS::NoValue", "a text is needed, found AWS::NoValue")]
    [InlineData("!Ref Names", "a text is needed, found a list")]
    [InlineData("!GetAtt Nowhere.Arn", "there is no resource 'Nowhere'")]
    [InlineData("!GetAtt Role", "Fn::GetAtt takes a resource and an attribute, found 'Role'")]
    [InlineData("!Sub '${No way}'", "'${No way}' is no variable; write '${!No way}' to keep it as text")]
    [InlineData("!Sub '${Names}'", "'${Names}' must be a text, found a list")]
    [InlineData("!Sub [a]", "Fn::Sub takes a text, or [text, map of variables], found a list")]
    [InlineData("!Join [a]", "Fn::Join takes [delimiter, list]")]
    [InlineData("!Join ['', text]", "Fn::Join takes a list, found 'text'")]
    [InlineData("!Select [3, !Ref Names]", "Fn::Select has no item 3 in a list of 3")]
    [InlineData("!Select [-1, !Ref Names]", "Fn::Select takes an index, found '-1'")]
    [InlineData("!Split ['', a]", "Fn::Split needs a delimiter")]
    [InlineData("!If [Nothing, 1, 2]", "there is no condition 'Nothing'")]
    [InlineData("!FindInMap [Sizes, prod, small]", "Fn::FindInMap finds nothing under 'Sizes', 'prod', 'small'")]
    [InlineData("!ImportValue nothing", "nothing exports 'nothing': load the template that does, or configure the export's value")]
    [InlineData("!Equals [a, a]", "Fn::Equals may stand only in Conditions; name a condition in Fn::If instead")]
    [InlineData("{Fn::Base64: a, Other: b}", "Fn::Base64 must stand alone in its map")]
    [InlineData("!ToJsonString text", "Fn::ToJsonString takes a map or a list")]
    public void A_wrong_function_is_named_with_its_place(string value, string message)
    {
        var line = Head.Count(c => c == '\n') + 1;
        Assert.Equal([$"stack.yaml:{line}: Outputs.Value.Value: {message}"], _fixture.Errors($"{Head} {value} }} }} }}"));
    }

    [Theory]
    [InlineData("!Select [0, !GetAZs '']", "Fn::GetAZs")]
    [InlineData("!Select [0, !Cidr [10.0.0.0/16, 1, 8]]", "Fn::Cidr")]
    public void An_output_that_only_aws_can_evaluate_is_left_out_with_a_warning(string value, string function)
    {
        var result = _fixture.Load($"{Head} {value} }} }} }}");
        Assert.Empty(result.Outputs);
        Assert.Contains($"{function} cannot be evaluated here; the output is left out", result.Warnings[0], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{A: !Condition B, B: !Condition A}", "circular reference: condition A -> condition B -> condition A")]
    [InlineData("{A: !And [!Condition B]}", "Fn::And takes 2 to 10 conditions")]
    [InlineData("{A: !Or [!Condition B, text]}", "there is no condition 'B'")]
    [InlineData("{A: text}", "a condition is Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition, found 'text'")]
    [InlineData("{A: !Ref Env}", "a condition is Fn::Equals, Fn::Not, Fn::And, Fn::Or or Condition, found 'Ref'")]
    public void A_wrong_condition_is_a_mistake_where_it_is_needed(string conditions, string message)
    {
        var errors = _fixture.Errors($"Conditions: {conditions}\nResources: {{}}\nOutputs: {{O: {{Value: x, Condition: A}}}}");
        Assert.EndsWith(message, Assert.Single(errors), StringComparison.Ordinal);
        Assert.StartsWith("stack.yaml:1: Conditions.", errors[0], StringComparison.Ordinal);

        Assert.Empty(_fixture.Load($"Conditions: {conditions}\nResources: {{}}").Outputs);
    }

    [Fact]
    public void Names_that_need_each_other_are_a_cycle_with_its_path()
    {
        var errors = _fixture.Errors("""
            Resources:
              A: {Type: 'AWS::Lambda::Function', Properties: {FunctionName: !Sub 'x-${B}'}}
              B: {Type: 'AWS::Lambda::Function', Properties: {FunctionName: !GetAtt A.Arn}}
            Outputs:
              O: {Value: !Ref A}
            """);
        Assert.Equal(["stack.yaml:3: B.Properties.FunctionName: circular reference: stack.A -> stack.B -> stack.A"], errors);
    }

    [Fact]
    public void Resources_that_need_each_other_are_a_cycle_even_where_made_up_values_would_do()
    {
        var errors = _fixture.Errors("""
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: a
                  Tags: [{Key: space, Value: !Ref Space}]
              Space:
                Type: AWS::AppSync::ChannelNamespace
                Properties:
                  ApiId: !GetAtt Api.ApiId
                  Name: a
            """);
        Assert.Equal(["stack.yaml:6: Api: circular reference: Api -> Space -> Api"], errors);
    }

    [Fact]
    public void Stacks_that_import_from_each_other_are_a_cycle()
    {
        var a = _fixture.Write("Resources: {}\nOutputs: {A: {Value: !ImportValue b, Export: {Name: a}}}", "a.yaml");
        var b = _fixture.Write("Resources: {}\nOutputs: {B: {Value: !ImportValue a, Export: {Name: b}}}", "b.yaml");
        Assert.All(_fixture.ErrorsOf([a, b]), error => Assert.Contains("circular reference: export", error, StringComparison.Ordinal));
    }

    [Fact]
    public void An_export_name_that_two_outputs_use_is_a_mistake()
    {
        var a = _fixture.Write("Resources: {}\nOutputs: {A: {Value: 1, Export: {Name: !Sub x}}}", "a.yaml");
        var b = _fixture.Write("Resources: {}\nOutputs: {B: {Value: 2, Export: {Name: x}}}", "b.yaml");
        Assert.Equal(["b.yaml:2: Outputs.B.Export.Name: 'x' is already exported by a.yaml:2"], _fixture.ErrorsOf([a, b]).Select(_fixture.Bare));
    }

    [Fact]
    public void A_template_export_goes_before_a_configured_one()
    {
        var exporter = _fixture.Write("Resources: {}\nOutputs: {A: {Value: template, Export: {Name: x}}}", "a.yaml");
        var importer = _fixture.Write("Resources: {}\nOutputs: {B: {Value: !ImportValue x}}", "b.yaml");
        var options = TemplateFixture.Options with { Exports = new Dictionary<string, string> { ["x"] = "configured" } };
        Assert.Equal(["template", "template"], TemplateLoader.Load([exporter, importer], options).Outputs.Select(output => output.Value));
    }

    [Fact]
    public void A_long_chain_of_references_ends_in_a_mistake_rather_than_the_stack()
    {
        var resources = string.Concat(Enumerable.Range(0, 3000).Select(i => string.Create(CultureInfo.InvariantCulture,
            $"  F{i}: {{Type: 'AWS::Lambda::Function', Properties: {{FunctionName: !Ref F{i + 1}}}}}\n")));
        var errors = _fixture.Errors($"Resources:\n{resources}  F3000: {{Type: 'AWS::Lambda::Function'}}\nOutputs: {{O: {{Value: !Ref F0}}}}");
        Assert.EndsWith("functions are nested deeper than 200 levels", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_that_double_end_in_a_mistake_rather_than_in_memory()
    {
        var resources = string.Concat(Enumerable.Range(0, 60).Select(i => string.Create(CultureInfo.InvariantCulture,
            $"  F{i}: {{Type: 'AWS::Lambda::Function', Properties: {{FunctionName: !Sub '${{F{i + 1}}}${{F{i + 1}}}'}}}}\n")));
        var errors = _fixture.Errors($"Resources:\n{resources}  F60: {{Type: 'AWS::Lambda::Function'}}\nOutputs: {{O: {{Value: !Ref F0}}}}");
        Assert.EndsWith("the text would be longer than 1,048,576 characters", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("!ToJsonString", "")]
    [InlineData("!Join", "'', ")]
    public void One_long_text_in_many_places_ends_in_a_mistake_rather_than_in_memory(string function, string before)
    {
        var items = string.Join(", ", Enumerable.Repeat("!Ref Long", 30_000));
        var list = before.Length == 0 ? $"[{items}]" : $"[{before}[{items}]]";
        var errors = _fixture.Errors($"""
            Transform: AWS::LanguageExtensions
            Parameters: {"{"}Long: {"{"}Type: String, Default: {new string('x', 500_000)}{"}}"}
            Resources: {"{}"}
            Outputs: {"{"}O: {"{"}Value: {function} {list}{"}}"}
            """);
        Assert.Equal(["stack.yaml:4: Outputs.O.Value: the text would be longer than 1,048,576 characters"], errors);
    }

    [Fact]
    public void A_regular_expression_of_absurd_depth_does_not_end_the_process()
    {
        var pattern = new string('(', 100_000) + "a" + new string(')', 100_000);
        var result = _fixture.Load($$"""
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: a
                  EventConfig:
                    AuthProviders: [{AuthType: OPENID_CONNECT, OpenIDConnectConfig: {Issuer: 'https://a.b', ClientId: '{{pattern}}' } }]
                    ConnectionAuthModes: []
                    DefaultPublishAuthModes: []
                    DefaultSubscribeAuthModes: []
            """);
        Assert.Equal(pattern, result.Apis[0].AuthProviders[0].OpenIdConnect!.ClientId);
    }

    [Fact]
    public void Conditions_that_fan_out_are_evaluated_once_each()
    {
        var conditions = string.Concat(Enumerable.Range(0, 50).Select(i => string.Create(CultureInfo.InvariantCulture,
            $"  C{i}: !And [!Condition C{i + 1}, !Condition C{i + 1}]\n")));
        var result = _fixture.Load($"Conditions:\n{conditions}  C50: !Equals [a, a]\nResources: {{}}\nOutputs: {{O: {{Value: !If [C0, yes, no]}}}}");
        Assert.Equal("yes", Assert.Single(result.Outputs).Value);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();
}
