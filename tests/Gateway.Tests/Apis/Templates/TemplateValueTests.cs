using System.Globalization;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>Parameters, secrets, keys, ids, hosts and domains: where values come from and who sees them.</summary>
public sealed class TemplateValueTests : IDisposable
{
    private const string Key = "  Key: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.ApiId}}\n";
    private const string SecondKey = "  Second: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Api.ApiId}}\n";

    private readonly TemplateFixture _fixture = new();

    [Theory]
    [InlineData("Type: String, Default: d", null, "d")]
    [InlineData("Type: String, Default: d", "c", "c")]
    [InlineData("Type: String, Default: a, AllowedValues: [a, b]", "b", "b")]
    [InlineData("Type: Number, Default: 1", "2.5", "2.5")]
    [InlineData("Type: String, AllowedPattern: '[a-z]+', MinLength: 1, MaxLength: 3", "abc", "abc")]
    [InlineData("Type: 'AWS::EC2::VPC::Id'", "vpc-1", "vpc-1")]
    [InlineData("Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b", "real", "real")]
    public void A_parameter_is_the_configured_value_else_the_default(string declaration, string? configured, string expected) =>
        Assert.Equal(expected, LoadParameter(declaration, configured));

    [Theory]
    [InlineData("Type: String", null, "has no default and no value is configured")]
    [InlineData("Default: a", null, "has no Type")]
    [InlineData("Type: String, Default: a, AllowedValues: [a, b]", "c", "the configured value 'c' is not one of AllowedValues: 'a', 'b'")]
    [InlineData("Type: String, Default: c, AllowedValues: [a, b]", null, "the default 'c' is not one of AllowedValues: 'a', 'b'")]
    [InlineData("Type: Number, Default: 1", "one", "the configured value 'one' is not a number")]
    [InlineData("Type: Number, MaxValue: 5", "6", "the configured value '6' is over MaxValue 5")]
    [InlineData("Type: String, AllowedPattern: '[a-z]+'", "ab1", "the configured value 'ab1' does not match AllowedPattern '[a-z]+'")]
    [InlineData("Type: String, AllowedPattern: '('", "ab1", "AllowedPattern '(' is not a usable regular expression")]
    [InlineData("Type: String, MaxLength: 2", "abc", "the configured value 'abc' is longer than MaxLength 2")]
    [InlineData("Type: String, NoEcho: true, AllowedValues: [hunter2]", "hunter3", "the configured value **** is not one of AllowedValues")]
    public void A_wrong_parameter_is_a_mistake_at_its_declaration(string declaration, string? configured, string message)
    {
        var errors = _fixture.Errors(ParameterTemplate(declaration), Configured(configured));
        Assert.Equal([$"stack.yaml:1: Parameters.P: {message}"], errors);
    }

    [Fact]
    public void A_configured_parameter_is_checked_even_where_nothing_needs_it()
    {
        var errors = _fixture.Errors("Parameters: {P: {Type: Number}}\nResources: {}", Configured("x"));
        Assert.Equal(["stack.yaml:1: Parameters.P: the configured value 'x' is not a number"], errors);
        Assert.Empty(_fixture.Load("Parameters: {P: {Type: Number}}\nResources: {}").Outputs);
    }

    [Theory]
    [InlineData("!Ref P")]
    [InlineData("!Sub 'x${P}'")]
    [InlineData("!Join ['', [a, !Ref P]]")]
    [InlineData("!Select [0, !Split ['-', !Ref P]]")]
    [InlineData("!Base64 {Ref: P}")]
    [InlineData("!ToJsonString [!Ref P]")]
    [InlineData("!If [Yes, !Ref P, '']")]
    [InlineData("!GetAtt Function.Arn")]
    [InlineData("!ImportValue secret")]
    public void A_secret_parameter_shows_in_no_output_error_or_warning(string value)
    {
        var template = $$$"""
            Transform: AWS::LanguageExtensions
            Parameters: {P: {Type: String, NoEcho: 'true', Default: hunter2-x}}
            Conditions: {Yes: !Equals [1, 1]}
            Resources:
              Function: {Type: 'AWS::Lambda::Function', Properties: {FunctionName: !Ref P} }
              Api: {Type: 'AWS::AppSync::Api', Properties: {Name: a, OwnerContact: {{{value}}} } }
            Outputs:
              Secret: {Value: !Ref P, Export: {Name: secret}}
              O: {Value: {{{value}}} }
            """;
        string shown;
        try
        {
            var result = _fixture.Load(template);
            shown = string.Join('\n', [.. result.Outputs.Select(output => output.ToString()), .. result.Warnings, .. result.Notes]);
            Assert.Equal("****", result.Outputs.Single(output => output.Name == "O").Value);
        }
        catch (TemplateException exception)
        {
            shown = exception.ToString();
            Assert.Contains("Api.Properties.OwnerContact: **** may hold only", shown, StringComparison.Ordinal);
        }

        Assert.DoesNotContain("hunter2", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("aHVudGVy", shown, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("!Ref {Ref: P}")]
    [InlineData("!GetAtt [!Ref P, Arn]")]
    [InlineData("!ImportValue {Ref: P}")]
    public void A_secret_names_nothing(string value)
    {
        var errors = _fixture.Errors(
            $"Parameters: {{P: {{Type: String, NoEcho: true, Default: hunter2}}}}\nResources: {{}}\nOutputs: {{O: {{Value: {value}}}}}");
        Assert.Equal(["stack.yaml:3: Outputs.O.Value: a name must not come from a secret"], errors);
    }

    [Theory]
    [InlineData("two words")]
    [InlineData("schlüssel")]
    public void A_configured_key_that_no_header_can_carry_is_a_mistake(string value)
    {
        Assert.Equal(
            ["stack.yaml:11: Key: the configured key must be printable ASCII without spaces"],
            _fixture.Errors(TemplateFixture.BaseResources + Key, Values(("Key", "ApiKey", value))));
        Assert.Equal(
            ["configuration: the API key must be printable ASCII without spaces"],
            _fixture.Errors(TemplateFixture.BaseResources, TemplateFixture.Options with { ApiKeyOverride = value }));
    }

    [Fact]
    public void Options_describe_themselves_without_secrets() =>
        Assert.DoesNotContain("hunter2", (Configured("hunter2") with { ApiKeyOverride = "hunter2" }).ToString(), StringComparison.Ordinal);

    [Fact]
    public void Two_keys_of_one_value_are_a_mistake() => Assert.Equal(
        ["stack.yaml:12: Second: the configured key is that of another key of the API"],
        _fixture.Errors(TemplateFixture.BaseResources + Key + SecondKey, Values(("Key", "ApiKey", "same"), ("Second", "ApiKey", "same"))));

    [Fact]
    public void A_key_shows_in_outputs_but_in_no_error()
    {
        var errors = _fixture.Errors(TemplateFixture.BaseResources + Key
            + "  Space: {Type: 'AWS::AppSync::ChannelNamespace', Properties: {ApiId: !GetAtt Api.ApiId, Name: !Sub '${Key.ApiKey}!'}}");
        Assert.Equal(["stack.yaml:12: Space.Properties.Name: **** may hold only letters, digits and inner hyphens"], errors);
    }

    [Fact]
    public void Ids_and_keys_are_the_same_at_every_start_and_depend_on_stack_and_logical_id()
    {
        var first = _fixture.LoadBase(Key + SecondKey);
        var again = _fixture.LoadBase(Key + SecondKey);
        var renamed = _fixture.LoadBase(Key + SecondKey, TemplateFixture.Options with { StackName = "other" });

        Assert.Equal(
            (first.Apis[0].Id, first.Keys[0].Value, first.Keys[1].Value), (again.Apis[0].Id, again.Keys[0].Value, again.Keys[1].Value));
        Assert.Equal(6, new HashSet<string>([first.Apis[0].Id, renamed.Apis[0].Id, .. first.Keys.Concat(renamed.Keys).Select(key => key.Value)]).Count);
    }

    [Fact]
    public void A_key_cannot_be_made_without_the_secret()
    {
        var key = _fixture.LoadBase(Key).Keys[0].Value;
        var other = _fixture.LoadBase(Key, TemplateFixture.Options with { KeySecret = [1, 2, 3] }).Keys[0].Value;
        Assert.NotEqual(key, other);
        Assert.Matches("^da2-[a-z0-9]{26}$", other);
    }

    [Theory]
    [InlineData("Key")]
    [InlineData("stack.Key")]
    public void The_configuration_names_a_key_by_its_logical_id(string logicalId)
    {
        var result = _fixture.LoadBase(Key + SecondKey + "Outputs: {K: {Value: !GetAtt Key.ApiKey}}", Values((logicalId, "ApiKey", "da2-mine")));
        Assert.Equal("da2-mine", result.Keys[0].Value);
        Assert.StartsWith("da2-", result.Keys[1].Value, StringComparison.Ordinal);
        Assert.Equal("da2-mine", Assert.Single(result.Outputs).Value);
    }

    [Fact]
    public void The_key_override_replaces_the_first_key_of_the_default_api_alone()
    {
        var options = Values(("Key", "ApiKey", "da2-mine")) with { ApiKeyOverride = "override" };
        var result = _fixture.LoadBase(Key + SecondKey + "Outputs: {K: {Value: !GetAtt Key.ApiKey}}", options);
        Assert.Equal("override", result.Keys[0].Value);
        Assert.NotNull(result.Apis[0].Keys[0].Expires);
        Assert.StartsWith("da2-", result.Keys[1].Value, StringComparison.Ordinal);
        Assert.Equal("override", Assert.Single(result.Outputs).Value);
    }

    [Fact]
    public void The_key_override_is_added_where_the_default_api_has_no_key()
    {
        var key = Assert.Single(_fixture.LoadBase("", TemplateFixture.Options with { ApiKeyOverride = "override" }).Keys);
        Assert.Equal(("override", null), (key.Value, key.Expires));
        Assert.Empty(_fixture.LoadBase("").Apis[0].Keys);
    }

    [Theory]
    [InlineData("", "2026-03-08T12:00:00Z", false)] // Seven days from now, rounded down to the hour.
    [InlineData(", Expires: 365", "2026-03-08T12:00:00Z", true)]
    [InlineData(", Expires: 999999999", "2026-03-08T12:00:00Z", true)]
    [InlineData(", Expires: 1600000000", "2026-03-08T12:00:00Z", true)]
    [InlineData(", Expires: 1772368200", "2026-03-08T12:00:00Z", true)] // Now.
    [InlineData(", Expires: 1772369999", "2026-03-08T12:00:00Z", true)] // Within the hour, so rounded into the past.
    [InlineData(", Expires: 1772370000", "2026-03-01T13:00:00Z", false)]
    [InlineData(", Expires: '1775000000'", "2026-03-31T23:00:00Z", false)]
    [InlineData(", Expires: 1803904200", "2027-03-01T12:00:00Z", false)] // 365 days to the second.
    [InlineData(", Expires: 1803904201", "2027-03-01T12:00:00Z", true)]
    [InlineData(", Expires: 99999999999999999999", "2027-03-01T12:00:00Z", true)]
    public void A_key_expires_when_it_says_within_bounds(string property, string expected, bool warns)
    {
        var result = _fixture.LoadBase($"  Key: {{Type: 'AWS::AppSync::ApiKey', Properties: {{ApiId: !GetAtt Api.ApiId{property}}}}}");
        Assert.Equal(DateTimeOffset.Parse(expected, CultureInfo.InvariantCulture), result.Apis[0].Keys[0].Expires);
        Assert.Equal(warns ? 1 : 0, result.Warnings.Count);
        if (warns) Assert.Contains("stack.yaml:11: Key.Properties.Expires: ", result.Warnings[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Every_api_but_the_default_has_its_id_in_its_host()
    {
        var first = _fixture.Write(TemplateFixture.BaseResources + TemplateFixture.BaseResources.Replace("Resources:\n  Api:", "  Other:", StringComparison.Ordinal)
            + "Outputs: {Http: {Value: !GetAtt Other.Dns.Http}, Realtime: {Value: !GetAtt Other.Dns.Realtime}, All: {Value: !Join ['', [!Ref Api]]}}", "a.yaml");
        var second = _fixture.Write(TemplateFixture.BaseResources, "b.yaml");
        var result = TemplateLoader.Load([first, second], TemplateFixture.Options);

        Assert.Equal(3, result.Apis.Select(api => api.Id).Distinct().Count());
        Assert.Equal(
            ["localhost:8080", $"{result.Apis[1].Id}.localhost:8080", $"{result.Apis[2].Id}.localhost:8080"],
            result.Apis.Select(api => api.HttpHost));
        Assert.All(result.Apis, api => Assert.Equal(api.HttpHost, api.RealtimeHost));
        Assert.Equal(
            [result.Apis[1].HttpHost, result.Apis[1].HttpHost, $"arn:aws:appsync:us-east-1:000000000000:apis/{result.Apis[0].Id}"],
            result.Outputs.Select(output => output.Value));
    }

    [Fact]
    public void The_configuration_names_an_api_id()
    {
        Assert.Equal("abcdefghijklmnopqrstuvwxyz", _fixture.LoadBase("", Values(("Api", "ApiId", "abcdefghijklmnopqrstuvwxyz"))).Apis[0].Id);
        Assert.Equal(
            ["stack.yaml:2: Api: the configured ApiId 'A.b' must be 1 to 63 lower-case letters, digits and inner hyphens"],
            _fixture.Errors(TemplateFixture.BaseResources + Key, Values(("Api", "ApiId", "A.b"))));
    }

    [Fact]
    public void Two_apis_with_one_id_are_a_mistake()
    {
        var first = _fixture.Write(TemplateFixture.BaseResources, "a/stack.yaml");
        var second = _fixture.Write(TemplateFixture.BaseResources, "b/stack.yaml");
        var error = Assert.Single(_fixture.ErrorsOf([first, second]));
        Assert.StartsWith("b/stack.yaml:2: Api: has the id '", error, StringComparison.Ordinal);
        Assert.Contains("of the API on a/stack.yaml:2;", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_domain_name_belongs_to_one_api()
    {
        const string Domain = """
              Domain: {Type: 'AWS::AppSync::DomainName', Properties: {DomainName: Events.example.com, CertificateArn: 'arn:x'}}
              Link: {Type: 'AWS::AppSync::DomainNameApiAssociation', Properties: {DomainName: !GetAtt Domain.DomainName, ApiId: !GetAtt Api.ApiId}}

            """;
        var first = _fixture.Write(TemplateFixture.BaseResources + Domain, "a.yaml");
        var second = _fixture.Write(TemplateFixture.BaseResources + Domain.Replace("Events", "events", StringComparison.Ordinal), "b.yaml");

        Assert.Equal(["Events.example.com"], TemplateLoader.Load([first], TemplateFixture.Options).Apis[0].DomainNames);
        Assert.Equal(["b.yaml:12: Link.Properties.DomainName: is already the domain of another API"], _fixture.ErrorsOf([first, second]));
    }

    [Fact]
    public void What_belongs_to_a_graphql_api_is_ignored()
    {
        var result = _fixture.LoadBase("""
              Graph: {Type: 'AWS::AppSync::GraphQLApi', Properties: {Name: g}}
              GraphKey: {Type: 'AWS::AppSync::ApiKey', Properties: {ApiId: !GetAtt Graph.ApiId}}
              GraphSource: {Type: 'AWS::AppSync::DataSource', Properties: {ApiId: !GetAtt Graph.ApiId, Name: a, Type: NONE}}
            """);
        Assert.Empty(result.Apis[0].Keys);
        Assert.Empty(result.Warnings);
        Assert.Contains("GraphKey: belongs to a GraphQL API, ignored", result.Notes);
    }

    [Theory]
    [InlineData("AWS::IAM::Role", "Arn", "^arn:aws:iam::000000000000:role/stack-X-[A-Z0-9]{12}$")]
    [InlineData("AWS::Lambda::Function", "Arn", "^arn:aws:lambda:us-east-1:000000000000:function:stack-X-[A-Z0-9]{12}$")]
    [InlineData("AWS::Cognito::UserPool", "Ref", "^us-east-1_[A-Za-z0-9]{9}$")]
    [InlineData("AWS::Cognito::UserPool", "ProviderURL", "^https://cognito-idp.us-east-1.amazonaws.com/us-east-1_[A-Za-z0-9]{9}$")]
    [InlineData("AWS::Cognito::UserPoolClient", "Ref", "^[a-z0-9]{26}$")]
    [InlineData("AWS::DynamoDB::Table", "Arn", "^arn:aws:dynamodb:us-east-1:000000000000:table/stack-X-[A-Z0-9]{12}$")]
    [InlineData("AWS::Events::EventBus", "Name", "^stack-X-[A-Z0-9]{12}$")]
    [InlineData("AWS::New::Thing", "TopicArn", "^arn:aws:new:us-east-1:000000000000:thing/stack-X-[A-Z0-9]{12}$")]
    [InlineData("Custom::Thing", "Anything", "^stack-X-[A-Z0-9]{12}-Anything$")]
    public void A_neighbour_has_made_up_values_that_the_configuration_can_replace(string type, string attribute, string pattern)
    {
        var template = $"Resources: {{X: {{Type: '{type}'}}}}\nOutputs: {{O: {{Value: {(attribute == "Ref" ? "!Ref X" : $"!GetAtt X.{attribute}")}}}}}";
        var value = Assert.Single(_fixture.Load(template).Outputs).Value;
        Assert.Matches(pattern, value);
        Assert.Equal(value, Assert.Single(_fixture.Load(template).Outputs).Value);
        Assert.Equal("real", Assert.Single(_fixture.Load(template, Values(("X", attribute, "real"))).Outputs).Value);
    }

    [Fact]
    public void A_configured_name_is_also_what_the_arn_is_made_from()
    {
        const string Template = "Resources: {X: {Type: 'AWS::Cognito::UserPool'}}\nOutputs: {O: {Value: !GetAtt X.ProviderName}}";
        Assert.Equal("cognito-idp.us-east-1.amazonaws.com/eu_1", Assert.Single(_fixture.Load(Template, Values(("X", "Ref", "eu_1"))).Outputs).Value);
    }

    [Fact]
    public void A_resource_whose_condition_is_false_does_not_exist()
    {
        var result = _fixture.LoadBase(Key.Replace("Properties:", "Condition: Never, Properties:", StringComparison.Ordinal)
            + "Conditions: {Never: !Equals [a, b]}\nOutputs: {O: {Value: !GetAtt Key.ApiKey, Condition: Never}}");
        Assert.Empty(result.Apis[0].Keys);
        Assert.Empty(result.Outputs);

        var errors = _fixture.Errors(TemplateFixture.BaseResources + Key.Replace("Properties:", "Condition: Never, Properties:", StringComparison.Ordinal)
            + "Conditions: {Never: !Equals [a, b]}\nOutputs: {O: {Value: !GetAtt Key.ApiKey}}");
        Assert.Equal(["stack.yaml:13: Outputs.O.Value: resource 'Key' does not exist, because its condition 'Never' is false"], errors);
    }

    /// <inheritdoc/>
    public void Dispose() => _fixture.Dispose();

    private static TemplateOptions Configured(string? value) => value is null
        ? TemplateFixture.Options
        : TemplateFixture.Options with { Parameters = new Dictionary<string, string> { ["P"] = value } };

    private static TemplateOptions Values(params (string LogicalId, string Attribute, string Value)[] values) => TemplateFixture.Options with
    {
        ResourceValues = values.ToDictionary(
            value => value.LogicalId,
            value => (IReadOnlyDictionary<string, string>)new Dictionary<string, string> { [value.Attribute] = value.Value }),
    };

    private static string ParameterTemplate(string declaration) =>
        $"Parameters: {{P: {{{declaration}}}}}\nResources: {{}}\nOutputs: {{O: {{Value: !Ref P}}}}";

    private string LoadParameter(string declaration, string? configured) =>
        Assert.Single(_fixture.Load(ParameterTemplate(declaration), Configured(configured)).Outputs).Value;
}
