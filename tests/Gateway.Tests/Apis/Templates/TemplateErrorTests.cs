using System.Text;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>What is wrong with a template is said with file, line, resource and property; all of it at once.</summary>
public sealed class TemplateErrorTests : IDisposable
{
    private readonly TemplateFixture _fixture = new();

    public static TheoryData<string, string> ApiMistakes => new()
    {
        { "Name: ''", "4: Api.Properties.Name: must have 1 to 50 characters, found 0" },
        { "Name: a!", "4: Api.Properties.Name: 'a!' may hold only letters, digits, '_', '-' and spaces" },
        { "Name: [a]", "4: Api.Properties.Name: must be a text, found a list" },
        { "Name: ", "4: Api.Properties.Name: is null; give a value, or leave the property out" },
        { "Other: a", "4: Api.Properties.Name: is required" },
        { "Name: a, OwnerContact: 'x#y'", "4: Api.Properties.OwnerContact: 'x#y' may hold only letters, digits, spaces and '_-.@+'" },
        { "Name: a, Tags: {a: b}", "4: Api.Properties.Tags: must be a list, found a map" },
        { "Name: a, Tags: [{Key: a}]", "4: Api.Properties.Tags[0].Value: is required" },
        { "Name: a, Tags: [{Key: 'aws:a', Value: b}]", "4: Api.Properties.Tags[0].Key: must not start with 'aws:'" },
        { "Name: a, Tags: [{Key: a, Value: b}, {Key: a, Value: c}]", "4: Api.Properties.Tags[1].Key: is the key of another tag already" },
        { "Name: a, EventConfig: x", "4: Api.Properties.EventConfig: must be a map, found 'x'" },
        { "Name: a, EventConfig: {AuthProviders: [], ConnectionAuthModes: [], DefaultPublishAuthModes: []}", "4: Api.Properties.EventConfig.DefaultSubscribeAuthModes: is required" },
        { Config("[]", connect: "[{AuthType: API_KEY}]"), "4: Api.Properties.EventConfig.ConnectionAuthModes[0].AuthType: API_KEY has no entry in the API's AuthProviders" },
        { Config("[]", connect: "[API_KEY]"), "4: Api.Properties.EventConfig.ConnectionAuthModes[0]: must be a map, found 'API_KEY'" },
        { Config("[{AuthType: api_key}]"), "4: Api.Properties.EventConfig.AuthProviders[0].AuthType: must be one of API_KEY, AWS_IAM, AMAZON_COGNITO_USER_POOLS, OPENID_CONNECT, AWS_LAMBDA, found 'api_key'" },
        { Config("[{AuthType: AWS_LAMBDA}]"), "4: Api.Properties.EventConfig.AuthProviders[0].LambdaAuthorizerConfig: is required" },
        { Config("[{AuthType: OPENID_CONNECT}]"), "4: Api.Properties.EventConfig.AuthProviders[0].OpenIDConnectConfig: is required" },
        { Config("[{AuthType: AMAZON_COGNITO_USER_POOLS}]"), "4: Api.Properties.EventConfig.AuthProviders[0].CognitoConfig: is required" },
        { Config("[{AuthType: AMAZON_COGNITO_USER_POOLS, CognitoConfig: {UserPoolId: p}}]"), "4: Api.Properties.EventConfig.AuthProviders[0].CognitoConfig.AwsRegion: is required" },
        { Config("[{AuthType: AMAZON_COGNITO_USER_POOLS, CognitoConfig: {UserPoolId: p, AwsRegion: r, AppIdClientRegex: '['}}]"), "4: Api.Properties.EventConfig.AuthProviders[0].CognitoConfig.AppIdClientRegex: '[' is not a regular expression: Invalid pattern '[' at offset 1. Unterminated [] set." },
        { Config("[{AuthType: OPENID_CONNECT, OpenIDConnectConfig: {Issuer: nowhere}}]"), "4: Api.Properties.EventConfig.AuthProviders[0].OpenIDConnectConfig.Issuer: must be a URL, found 'nowhere'" },
        { Config("[{AuthType: OPENID_CONNECT, OpenIDConnectConfig: {Issuer: 'https://a.b', IatTTL: -1}}]"), "4: Api.Properties.EventConfig.AuthProviders[0].OpenIDConnectConfig.IatTTL: must be a whole number, 0 or more, found '-1'" },
        { Config($"[{Lambda("0")}, {Lambda("0")}]"), "4: Api.Properties.EventConfig.AuthProviders[1].AuthType: an API has one Lambda authorizer at most, and this is the second" },
        { Config($"[{Lambda("3601")}]"), "4: Api.Properties.EventConfig.AuthProviders[0].LambdaAuthorizerConfig.AuthorizerResultTtlInSeconds: must be a whole number, 0 to 3,600, found '3601'" },
        { Config($"[{Lambda("1.5")}]"), "4: Api.Properties.EventConfig.AuthProviders[0].LambdaAuthorizerConfig.AuthorizerResultTtlInSeconds: must be a whole number, 0 to 3,600, found '1.5'" },
        { Config("[]", more: ", LogConfig: {LogLevel: LOUD, CloudWatchLogsRoleArn: a}"), "4: Api.Properties.EventConfig.LogConfig.LogLevel: must be one of NONE, ERROR, INFO, DEBUG, ALL, found 'LOUD'" },
        { Config("[]", more: ", LogConfig: {LogLevel: ALL}"), "4: Api.Properties.EventConfig.LogConfig.CloudWatchLogsRoleArn: is required" },
        { "Name: !Ref Nowhere", "4: Api.Properties.Name: there is no parameter, resource or pseudo parameter 'Nowhere'" },
    };

    public static TheoryData<string, string> NeighbourMistakes => new()
    {
        { "Space: {Type: 'AWS::AppSync::ChannelNamespace', Properties: {ApiId: !Ref Nope, Name: a}}", "11: Space.Properties.ApiId: there is no parameter, resource or pseudo parameter 'Nope'" },
        { "Space: {Type: 'AWS::AppSync::ChannelNamespace', Properties: {ApiId: elsewhere, Name: a}}", "11: Space.Properties.ApiId: 'elsewhere' is no API of these templates" },
        { "Space: {Type: 'AWS::AppSync::ChannelNamespace'}", "11: Space.Properties.ApiId: is required|11: Space.Properties.Name: is required" },
        { Space("Name: -a"), "11: Space.Properties.Name: '-a' may hold only letters, digits and inner hyphens" },
        { Space("Name: a-"), "11: Space.Properties.Name: 'a-' may hold only letters, digits and inner hyphens" },
        { Space("Name: \"a\\n\""), "11: Space.Properties.Name: 'a ' may hold only letters, digits and inner hyphens" },
        { Space("Name: " + new string('a', 51)), "11: Space.Properties.Name: must have 1 to 50 characters, found 51" },
        { Space("Name: a, PublishAuthModes: [{AuthType: AWS_LAMBDA}]"), "11: Space.Properties.PublishAuthModes[0].AuthType: AWS_LAMBDA has no entry in the API's AuthProviders" },
        { Space("Name: a, CodeHandlers: " + new string('x', 32_769)), "11: Space.Properties.CodeHandlers: must have 1 to 32,768 characters, found 32,769" },
        { Space("Name: a, CodeS3Location: 'http://x'"), "11: Space.Properties.CodeS3Location: must be s3://bucket/key or a file in the template's folder or below, found 'http://x'" },
        { Space("Name: a, CodeS3Location: 's3://bucket/key.js'"), "11: Space.Properties.CodeS3Location: cannot find 's3://bucket/key.js' on this machine: stack.assets.json beside the template does not exist; load the whole cdk.out folder, or write the code into CodeHandlers" },
        { Space("Name: a, HandlerConfigs: {OnPublish: {Behavior: CODE, Integration: {DataSourceName: gone}}}"), "11: Space.Properties.HandlerConfigs.OnPublish.Integration.DataSourceName: 'gone' is no data source of the API; it has none" },
        { Space("Name: a, HandlerConfigs: {OnPublish: {Behavior: DIRECT, Integration: {DataSourceName: ''}}}"), "11: Space.Properties.HandlerConfigs.OnPublish.Integration.DataSourceName: DIRECT needs a Lambda data source" },
        { Space("Name: a, HandlerConfigs: {OnPublish: {Behavior: DIRECT, Integration: {DataSourceName: web}}}") + Source("web", "NONE"), "11: Space.Properties.HandlerConfigs.OnPublish.Integration.DataSourceName: DIRECT needs a Lambda data source, and this one is NONE" },
        { Space("Name: a, HandlerConfigs: {OnPublish: {Behavior: direct, Integration: {DataSourceName: ''}}}"), "11: Space.Properties.HandlerConfigs.OnPublish.Behavior: must be one of CODE, DIRECT, found 'direct'" },
        { Space("Name: a, HandlerConfigs: {OnSubscribe: {Behavior: CODE}}"), "11: Space.Properties.HandlerConfigs.OnSubscribe.Integration: is required" },
        { Space("Name: a") + Space("Name: a", "Second"), "12: Second.Properties.Name: 'a' is the name of another namespace of the API" },
        { Source("1a", "NONE").TrimStart(), "11: Source.Properties.Name: '1a' may hold only letters, digits and '_', and not begin with a digit" },
        { Source("a", "FTP").TrimStart(), "11: Source.Properties.Type: must be one of AWS_LAMBDA, AMAZON_DYNAMODB, AMAZON_ELASTICSEARCH, AMAZON_OPENSEARCH_SERVICE, AMAZON_EVENTBRIDGE, AMAZON_BEDROCK_RUNTIME, NONE, HTTP, RELATIONAL_DATABASE, found 'FTP'" },
        { "Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.ApiId, Expires: soon}}", "11: Key.Properties.Expires: must be a number of seconds since 1970, found 'soon'" },
        { "Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.Id}}", "11: Key.Properties.ApiId: AWS::AppSync::Api has no attribute 'Id'" },
        { "Key: {Type: 'AWS::AppSync::ApiKey', Properties: text}", "11: Key.Properties: must be a map, found 'text'|11: Key.Properties.ApiId: is required" },
        { "Domain: {Type: 'AWS::AppSync::DomainName', Properties: {DomainName: 'a b'}}", "11: Domain.Properties.DomainName: 'a b' may hold only labels of letters, digits and hyphens with dots between them|11: Domain.Properties.CertificateArn: is required" },
        { "Thing: text", "11: Thing: must be a map, found 'text'" },
        { "Thing: {Properties: {}}", "11: Thing.Type: is required: a text such as AWS::AppSync::Api" },
        { "Thing: {Type: 'AWS::IAM::Role', Condition: [a]}", "11: Thing.Condition: must be a condition's name, found a list" },
        { "Space: {Type: 'AWS::AppSync::ChannelNamespace', Condition: Gone, Properties: {}}", "11: Space.Condition: there is no condition 'Gone'" },
    };

    [Theory]
    [MemberData(nameof(ApiMistakes))]
    public void A_mistake_in_an_api_is_named_with_its_place(string properties, string expected)
    {
        var errors = _fixture.Errors($$"""
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties: { {{properties}} }
            """);
        Assert.Equal([$"stack.yaml:{expected}"], errors);
    }

    [Theory]
    [MemberData(nameof(NeighbourMistakes))]
    public void A_mistake_beside_an_api_is_named_with_its_place(string resource, string expected) =>
        Assert.Equal(
            expected.Split('|').Select(error => $"stack.yaml:{error}"),
            _fixture.Errors(TemplateFixture.BaseResources + "  " + resource));

    [Fact]
    public void Lines_are_those_of_the_property_in_yaml_and_json()
    {
        Assert.Equal(["stack.yaml:6: Api.Properties.Name: 'a!' may hold only letters, digits, '_', '-' and spaces"], _fixture.Errors("""
            # A comment
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: a!
            """));
        Assert.Equal(["stack.json:6: Api.Properties.Name: 'a!' may hold only letters, digits, '_', '-' and spaces"], _fixture.Errors("""
            {

              "Resources": {
                "Api": {"Type": "AWS::AppSync::Api",
                  "Properties": {
                    "Name": "a!"
                  }
                }
              }
            }
            """, name: "stack.json"));
    }

    [Fact]
    public void All_mistakes_of_all_files_are_reported_at_once()
    {
        var first = _fixture.Write("""
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: a!
                  OwnerContact: !Ref Nobody
                  Tags:
                    - {Key: a, Value: !GetAtt No.Where}
                    - {Key: b}
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}, {AuthType: AWS_LAMBDA}]
                    ConnectionAuthModes: [{AuthType: AWS_IAM}]
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
              Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.ApiId, Expires: [1]}}
            Outputs:
              O: {Value: !Ref Nothing}
            """, "first.yaml");
        var second = _fixture.Write("Resources: {Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: x}}}", "second.yaml");

        var errors = _fixture.ErrorsOf([first, second]).Select(error => string.Join(": ", error.Split(": ")[..2]));
        Assert.Equal(
            [
                "first.yaml:5: Api.Properties.Name", "first.yaml:6: Api.Properties.OwnerContact", "first.yaml:8: Api.Properties.Tags[0].Value",
                "first.yaml:9: Api.Properties.Tags[1].Value", "first.yaml:11: Api.Properties.EventConfig.AuthProviders[1].LambdaAuthorizerConfig",
                "first.yaml:12: Api.Properties.EventConfig.ConnectionAuthModes[0].AuthType",
                "first.yaml:10: Api.Properties.EventConfig.DefaultSubscribeAuthModes", "first.yaml:14: Key.Properties.Expires",
                "second.yaml:1: Key.Properties.ApiId", "first.yaml:16: Outputs.O.Value",
            ],
            errors);
    }

    [Fact]
    public void A_mistake_carries_its_parts()
    {
        var path = _fixture.Write("Resources:\n  Api:\n    Type: AWS::AppSync::Api\n    Properties: {Name: '!'}");
        var error = Assert.Single(Assert.Throws<TemplateException>(() => TemplateLoader.Load([path], TemplateFixture.Options)).Errors);
        Assert.Equal((path, 4, "Api", "Properties.Name"), (error.File, error.Line, error.Resource, error.Property));
        Assert.Equal($"{path}:4: Api.Properties.Name: {error.Message}", error.ToString());
    }

    [Fact]
    public void A_file_that_is_no_template_is_one_clear_line()
    {
        var folder = _fixture.PathOf("empty-folder");
        Directory.CreateDirectory(folder);
        (string Path, string Expected)[] files =
        [
            (_fixture.PathOf("gone.yaml"), "gone.yaml: does not exist"),
            (_fixture.PathOf("gone/gone.yaml"), "gone/gone.yaml: does not exist"),
            (folder, "empty-folder: is a folder without manifest.json; give a template file or a cdk.out folder"),
            (_fixture.Write("", "a.yaml"), "a.yaml: is empty"),
            (_fixture.Write(" \n\t ", "b.json"), "b.json: is empty"),
            (_fixture.Write("# only a comment\n", "c.yaml"), "c.yaml: is empty"),
            (_fixture.Write([0xEF, 0xBB, 0xBF], "d.yaml"), "d.yaml: is empty"),
            (_fixture.Write([0x52, 0xFF, 0xFE], "e.yaml"), "e.yaml: is not UTF-8 text"),
            (_fixture.Write(new byte[TemplateLimits.FileBytesMax + 1], "f.yaml"), "f.yaml: is larger than 1,048,576 bytes"),
            (_fixture.Write("just text", "g.yaml"), "g.yaml:1: is not a template: a map is needed, found 'just text'"),
            (_fixture.Write("\n[1]", "h.json"), "h.json:2: is not a template: a map is needed, found a list"),
            (_fixture.Write("Some: thing", "i.yaml"), "i.yaml: has no section Resources; is this a CloudFormation template?"),
            (_fixture.Write("\nResources: []", "j.yaml"), "j.yaml:2: Resources: must be a map, found a list"),
            (_fixture.Write("Resources: {}\n---\nResources: {}", "k.yaml"), "k.yaml:2: holds a second YAML document; a template is one document"),
            (_fixture.Write("{\"a\":\n 1,}", "l.json"), "l.json:2: is not valid JSON: "),
            (_fixture.Write("{\"a\":", "m.json"), "m.json:1: is not valid JSON: "),
            (_fixture.Write("{} {}", "n.json"), "n.json:1: is not valid JSON: "),
            (_fixture.Write("{\n\"\\ud800\": 1}", "o.json"), "o.json:2: is not valid JSON: a text holds half a surrogate pair"),
            (_fixture.Write("a: b\n  c: d: e", "p.yaml"), "p.yaml:2: is not valid YAML: "),
            (_fixture.Write("a: [\n", "q.yaml"), "q.yaml:2: is not valid YAML: "),
            (_fixture.Write("\n? [a]\n: b", "r.yaml"), "r.yaml:2: a key must be text"),
            (_fixture.Write("a: *b", "s.yaml"), "s.yaml:1: alias '*b' has no anchor before it"),
            (_fixture.Write("a: &a [*a]", "t.yaml"), "t.yaml:1: alias '*a' has no anchor before it"),
            (_fixture.Write("a: &a {}\nb:\n  <<: *a", "u.yaml"), "u.yaml:3: merge keys (<<) are not part of CloudFormation; repeat the entries instead"),
            (_fixture.Write("\nResources: {}\nB: 2\nB: 3", "v.yaml"), "v.yaml:4: key 'B' is already on line 3"),
            (_fixture.Write("{\"Resources\": {},\n\"Resources\": {}}", "w.json"), "w.json:2: key 'Resources' is already on line 1"),
            (_fixture.Write(new string('[', 500), "x.yaml"), "x.yaml:1: is nested deeper than 64 levels"),
            (_fixture.Write("{\"a\":" + new string('[', 500), "y.json"), "y.json:1: is not valid JSON: The maximum configured depth of 64 has been exceeded."),
            (_fixture.Write("a: [" + string.Concat(Enumerable.Repeat("x,", 250_000)) + "]", "z.yaml"), "z.yaml:1: holds more than 200,000 values, aliases counted as what they stand for"),
        ];
        foreach (var (path, expected) in files)
            Assert.StartsWith(expected, Assert.Single(_fixture.ErrorsOf([path])), StringComparison.Ordinal);

        // And together, each still has its line.
        Assert.Equal(files.Length, _fixture.ErrorsOf([.. files.Select(file => file.Path)]).Count);
    }

    [Fact]
    public void Aliases_stand_for_what_their_anchor_holds_and_cost_as_much()
    {
        var result = _fixture.Load("""
            Metadata: {modes: &modes [{AuthType: API_KEY}]}
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: &name base
                  OwnerContact: *name
                  EventConfig: {AuthProviders: *modes, ConnectionAuthModes: *modes, DefaultPublishAuthModes: *modes, DefaultSubscribeAuthModes: *modes}
            """);
        Assert.Equal("base", Assert.Single(result.Apis).OwnerContact);

        var bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 40; i++) bomb.Append(null, $"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n");
        Assert.EndsWith("holds more than 200,000 values, aliases counted as what they stand for", Assert.Single(_fixture.Errors(bomb.ToString())), StringComparison.Ordinal);
    }

    [Fact]
    public void Warnings_name_what_was_accepted_but_is_probably_wrong()
    {
        var result = _fixture.Load("""
            Unheard: {}
            Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
            Resources:
              Api:
                Type: AWS::AppSync::Api
                Properties:
                  Name: base
                  Colour: !Nonsense blue
                  EventConfig:
                    AuthProviders: [{AuthType: API_KEY}, {AuthType: API_KEY}, {AuthType: AWS_IAM, CognitoConfig: {}}]
                    ConnectionAuthModes: []
                    DefaultPublishAuthModes: [{AuthType: API_KEY}]
                    DefaultSubscribeAuthModes: [{AuthType: API_KEY}]
              Space:
                Type: AWS::AppSync::ChannelNamespace
                Properties:
                  ApiId: !Ref Api
                  Name: a
                  CodeHandlers: x
                  CodeS3Location: s3://a/b
                  PublishAuthModes: []
              Function: {Type: 'AWS::Serverless::Function', Properties: {Anything: !Transform {Name: x}}}
              Fn::ForEach::Many: [a, [b], {}]
            """, TemplateFixture.Options with { Parameters = new Dictionary<string, string> { ["Typo"] = "x" } });

        Assert.Equal(
            [
                "stack.yaml:1: Unheard: unknown section, ignored",
                "stack.yaml:23: Fn::ForEach::Many: functions that make resources are not expanded; ignored",
                "stack.yaml:2: Transform: 'AWS::Serverless-2016-10-31' is not expanded; the resources it would make do not exist here",
                "stack.yaml:8: Api.Properties.Colour: unknown property, ignored",
                "stack.yaml:10: Api.Properties.EventConfig.AuthProviders[1].AuthType: API_KEY is listed already; the second entry means nothing",
                "stack.yaml:10: Api.Properties.EventConfig.AuthProviders[2].CognitoConfig: does not belong to AWS_IAM, ignored",
                "stack.yaml:11: Api.Properties.EventConfig.ConnectionAuthModes: is empty, so no mode is allowed",
                "stack.yaml:17: Space.Properties.ApiId: is an API's ARN, which AWS refuses; use !GetAtt with ApiId rather than !Ref",
                "stack.yaml:20: Space.Properties.CodeS3Location: is ignored, because CodeHandlers is given as well",
                "configuration: no template has the parameter 'Typo'",
            ],
            result.Warnings.Select(_fixture.Bare));
        Assert.Equal(["stack.yaml: ignored resources of the types AWS::Serverless::Function"], result.Notes.Select(_fixture.Bare));
        Assert.Null(result.Apis[0].Namespaces["a"].PublishModes);
        Assert.Equal(2, result.Apis[0].AuthProviders.Count);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();

    private static string Config(string providers, string connect = "[]", string more = "") =>
        $"Name: a, EventConfig: {{AuthProviders: {providers}, ConnectionAuthModes: {connect}, DefaultPublishAuthModes: [], DefaultSubscribeAuthModes: []{more}}}";

    private static string Lambda(string ttl) =>
        $"{{AuthType: AWS_LAMBDA, LambdaAuthorizerConfig: {{AuthorizerUri: 'arn:aws:lambda:r:1:function:f', AuthorizerResultTtlInSeconds: {ttl}}}}}";

    private static string Space(string properties, string id = "Space") =>
        $"{(id == "Space" ? "" : "\n  ")}{id}: {{Type: 'AWS::AppSync::ChannelNamespace', Properties: {{ApiId: !GetAtt Api.ApiId, {properties}}}}}";

    private static string Source(string name, string type) =>
        $"\n  Source: {{Type: 'AWS::AppSync::DataSource', Properties: {{ApiId: !GetAtt Api.ApiId, Name: {name}, Type: {type}}}}}";
}
