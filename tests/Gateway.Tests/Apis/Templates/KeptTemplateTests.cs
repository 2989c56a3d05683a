using System.Text.Json;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;

namespace Fanfare.Gateway.Tests.Apis.Templates;

/// <summary>The templates under TestData load exactly as their authors wrote them.</summary>
public sealed class KeptTemplateTests
{
    private const AuthModes KeyAndIam = AuthModes.ApiKey | AuthModes.AwsIam;
    private const AuthModes PoolsAndIam = AuthModes.CognitoUserPools | AuthModes.AwsIam;

    [Theory]
    [InlineData("appsync-events.yaml")]
    [InlineData("appsync-events.ja.yaml")]
    public void The_yaml_seed_loads(string name)
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept(name)], TemplateFixture.Options);

        var api = Assert.Single(result.Apis);
        Assert.Equal("appsync-event-api-sample", api.Name);
        Assert.Matches("^[a-z0-9]{26}$", api.Id);
        Assert.Equal("localhost:8080", api.HttpHost);
        Assert.Equal("localhost:8080", api.RealtimeHost);
        Assert.Equal([AuthMode.ApiKey, AuthMode.AwsIam], api.AuthProviders.Select(provider => provider.Mode));
        Assert.Equal((KeyAndIam, KeyAndIam, AuthModes.ApiKey), (api.ConnectionModes, api.DefaultPublishModes, api.DefaultSubscribeModes));
        Assert.Equal(ApiLogLevel.All, api.LogLevel);
        var space = Assert.Single(api.Namespaces).Value;
        Assert.Equal(("sample", null, null, null), (space.Name, space.PublishModes, space.SubscribeModes, space.Code));
        var key = Assert.Single(api.Keys);
        Assert.Matches("^da2-[a-z0-9]{26}$", Assert.Single(result.Keys).Value);
        Assert.Equal(new DateTimeOffset(2026, 3, 8, 12, 0, 0, TimeSpan.Zero), key.Expires);
        Assert.Equal(
            [new("appsync-events", "HttpEndpoint", "localhost:8080", null), new("appsync-events", "WebSocketEndpoint", "localhost:8080", null)],
            result.Outputs);
        Assert.Empty(result.Warnings);
        Assert.EndsWith("ignored resources of the types AWS::IAM::Role", Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void The_cdk_snippet_loads_and_says_that_its_user_pool_is_made_up()
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept("seed-000-cdk-snippet.json")], TemplateFixture.Options);

        var api = Assert.Single(result.Apis);
        Assert.Equal("events-snippet", api.Name);
        Assert.Equal((PoolsAndIam, PoolsAndIam, PoolsAndIam), (api.ConnectionModes, api.DefaultPublishModes, api.DefaultSubscribeModes));
        Assert.Matches("^us-east-1_[A-Za-z0-9]{9}$", api.AuthProviders[0].Cognito!.UserPoolId);
        Assert.Equal("us-east-1", api.AuthProviders[0].Cognito!.AwsRegion);
        Assert.StartsWith("\nexport function onSubscribe(ctx) {", api.Namespaces["default"].Code, StringComparison.Ordinal);
        Assert.Contains("`/default/${ctx.identity.sub}`", api.Namespaces["default"].Code, StringComparison.Ordinal);
        Assert.Empty(api.Keys);
        Assert.Equal(
            [
                ("HttpEndpoint", "https://localhost:8080/event"), ("RealtimeEndpoint", "wss://localhost:8080/event/realtime"),
                ("UserPoolId", api.AuthProviders[0].Cognito!.UserPoolId),
            ],
            result.Outputs.Take(3).Select(output => (output.Name, output.Value)));
        Assert.Matches("^[a-z0-9]{26}$", result.Outputs[3].Value);
        Assert.Contains("EventApi.Properties.EventConfig.AuthProviders[0].CognitoConfig.UserPoolId", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("seed-004-cdk-env-agnostic.json", null)]
    [InlineData("seed-004-cdk-fixed-env.json", null)]
    [InlineData("seed-004-cdk-env-agnostic.json", "eu-west-1_Ab12Cd34E")]
    public void The_cdk_seed_with_two_namespaces_loads(string name, string? pool)
    {
        var options = pool is null ? TemplateFixture.Options : TemplateFixture.Options with
        {
            ResourceValues = new Dictionary<string, IReadOnlyDictionary<string, string>>
            {
                ["Users0A0EEA89"] = new Dictionary<string, string> { ["Ref"] = pool },
            },
        };
        var result = TemplateLoader.Load([TemplateFixture.Kept(name)], options);

        var api = Assert.Single(result.Apis);
        Assert.Equal("serverless-events", api.Name);
        Assert.Equal(["private", "public"], api.Namespaces.Keys.Order());
        foreach (var space in api.Namespaces.Values)
            Assert.Equal((AuthModes.AwsIam, AuthModes.CognitoUserPools), (space.PublishModes, space.SubscribeModes));
        Assert.Null(api.Namespaces["public"].Code);
        Assert.EndsWith("util.unauthorized()\n  }\n}", api.Namespaces["private"].Code, StringComparison.Ordinal);
        Assert.Empty(result.Outputs);
        if (pool is null) Assert.Single(result.Warnings);
        else
        {
            Assert.Equal(pool, api.AuthProviders.Single(p => p.Mode == AuthMode.CognitoUserPools).Cognito!.UserPoolId);
            Assert.Empty(result.Warnings);
        }
    }

    [Fact]
    public void The_minimal_cdk_api_loads_and_prints_its_key()
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept("cdk-eventapi-minimal.json")], TemplateFixture.Options);

        var api = Assert.Single(result.Apis);
        Assert.Equal("minimal-events", api.Name);
        var space = Assert.Single(api.Namespaces).Value;
        Assert.Equal(("default", null, null), (space.Name, space.OnPublish, space.OnSubscribe));
        Assert.Equal(["Http", "Realtime", "ApiKey"], result.Outputs.Select(output => output.Name));
        Assert.Equal(["localhost:8080", "localhost:8080", result.Keys[0].Value], result.Outputs.Select(output => output.Value));
        Assert.Equal([false, false, true], result.Outputs.Select(output => output.IsSecret));
        Assert.DoesNotContain(result.Keys[0].Value, result.Outputs[2].ToString(), StringComparison.Ordinal);
        Assert.Empty(result.Warnings);
    }

    [Fact]
    public void The_full_cdk_api_loads()
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept("cdk-eventapi-full.json")], TemplateFixture.Options);

        var api = Assert.Single(result.Apis);
        Assert.Equal(("full-events", "platform team", ApiLogLevel.All), (api.Name, api.OwnerContact, api.LogLevel));
        Assert.Equal("realtime", api.Tags["team"]);
        Assert.Equal(Enum.GetValues<AuthMode>(), api.AuthProviders.Select(provider => provider.Mode));
        Assert.Equal("^web-.*", api.AuthProviders[2].Cognito!.AppIdClientRegex);
        Assert.Equal(
            new OpenIdConnectSettings
            {
                Issuer = "https://issuer.example.com", ClientId = "my-client", IatTtlMilliseconds = 3_600_000, AuthTtlMilliseconds = 1_800_000,
            },
            api.AuthProviders[3].OpenIdConnect);
        var authorizer = api.AuthProviders[4].LambdaAuthorizer!;
        Assert.Matches("^arn:aws:lambda:us-east-1:000000000000:function:cdk-eventapi-full-AuthorizerBD825682-[A-Z0-9]{12}$", authorizer.AuthorizerUri);
        Assert.Equal((300, "^[a-z]+$"), (authorizer.ResultTtlSeconds, authorizer.IdentityValidationExpression));
        Assert.Equal((AuthModes)31, api.ConnectionModes);
        Assert.Equal(AuthModes.ApiKey | AuthModes.AwsLambda, api.DefaultPublishModes);
        Assert.Equal(AuthModes.ApiKey | AuthModes.CognitoUserPools, api.DefaultSubscribeModes);
        Assert.Equal("browser key", Assert.Single(api.Keys).Description);

        Assert.Equal(["direct", "direct-async", "dynamo", "inlinecode", "plain", "withds"], api.Namespaces.Keys.Order(StringComparer.Ordinal));
        Assert.Equal((AuthModes.AwsIam, PoolsAndIam), (api.Namespaces["inlinecode"].PublishModes, api.Namespaces["inlinecode"].SubscribeModes));
        Assert.Equal("realtime", api.Namespaces["plain"].Tags["team"]);
        Assert.Equal(new HandlerConfig { IsDirect = true, DataSourceName = "worker" }, api.Namespaces["direct"].OnPublish);
        Assert.Null(api.Namespaces["direct"].OnSubscribe);
        Assert.Equal(
            new HandlerConfig { IsDirect = true, DataSourceName = "worker", IsEventInvoke = true }, api.Namespaces["direct-async"].OnPublish);
        Assert.Equal(new HandlerConfig { IsDirect = true, DataSourceName = "worker" }, api.Namespaces["direct-async"].OnSubscribe);
        Assert.Equal(new HandlerConfig { IsDirect = false, DataSourceName = "tableDs" }, api.Namespaces["dynamo"].OnPublish);
        Assert.Equal("worker", api.Namespaces["withds"].OnPublish!.DataSourceName);

        Assert.Equal(
            [
                new("cdk-eventapi-full", "ApiId", api.Id, "FullEventsApiId"),
                new("cdk-eventapi-full", "ApiArn", $"arn:aws:appsync:us-east-1:000000000000:apis/{api.Id}", null),
                new("cdk-eventapi-full", "HttpUrl", "https://localhost:8080/event", null),
                new("cdk-eventapi-full", "RealtimeUrl", "wss://localhost:8080/event/realtime", null),
            ],
            result.Outputs);
        Assert.Single(result.Warnings); // The made-up user pool.
    }

    [Fact]
    public void A_cdk_assembly_loads_with_code_from_an_asset_a_custom_domain_and_a_second_stack()
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept("cdk-out")], TemplateFixture.Options with { StackName = "ignored-here" });

        var api = Assert.Single(result.Apis);
        Assert.Equal("asset-events", api.Name);
        Assert.Equal(["events.example.com"], api.DomainNames);
        Assert.Equal(["chat", "extra"], api.Namespaces.Keys.Order());
        var asset = TemplateFixture.Kept("cdk-out/asset.e53d5dccc83eba717451a91b1bea84d3809a2340b4bca4024d0e24f1ab15b02a.js");
        Assert.Equal(File.ReadAllText(asset), api.Namespaces["chat"].Code);
        Assert.All(result.Outputs, output => Assert.Equal("AssetEvents", output.Stack));
        Assert.Equal(
            ["https://events.example.com/event", "wss://events.example.com/event/realtime", api.Id],
            result.Outputs.Select(output => output.Value));
        Assert.Empty(result.Warnings);
    }

    [Fact]
    public void The_templates_of_an_assembly_load_one_by_one_in_any_order()
    {
        var folder = TemplateLoader.Load([TemplateFixture.Kept("cdk-out")], TemplateFixture.Options);
        var files = TemplateLoader.Load(
            [TemplateFixture.Kept("cdk-out/ConsumerStack.template.json"), TemplateFixture.Kept("cdk-out/AssetEvents.template.json")],
            TemplateFixture.Options);

        Assert.Equal(folder.Apis[0].Id, files.Apis[0].Id);
        Assert.Equal(folder.Apis[0].Keys, files.Apis[0].Keys);
        Assert.Equal(["chat", "extra"], files.Apis[0].Namespaces.Keys.Order());
    }

    [Theory]
    [InlineData("apigw-websocket.yaml")]
    [InlineData("apigw-websocket-cdk.json")]
    public void A_template_without_an_event_api_loads_as_nothing_with_one_warning(string name)
    {
        var result = TemplateLoader.Load([TemplateFixture.Kept(name)], TemplateFixture.Options);

        Assert.Empty(result.Apis);
        Assert.EndsWith("has nothing of an Event API in it", Assert.Single(result.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_function_evaluates_to_what_cloudformation_gives()
    {
        using var expected = JsonDocument.Parse(File.ReadAllText(TemplateFixture.Kept("loader-intrinsics.expected.json")));
        var options = TemplateFixture.Options with { AccountId = "123456789012", StackName = "demo" };
        var path = TemplateFixture.Kept("loader-intrinsics.yaml");
        var set = TemplateSet.Open([path], options);
        var stack = Assert.Single(set.Stacks);
        var madeUp = new Dictionary<string, string>(StringComparer.Ordinal);

        foreach (var condition in expected.RootElement.GetProperty("conditions").EnumerateObject())
            Assert.Equal(condition.Value.GetBoolean(), stack.IsTrue(condition.Name, new ScalarNode("", 0), default));
        foreach (var resource in expected.RootElement.GetProperty("resources").EnumerateObject())
        {
            var declared = stack.Stack.ResourcesById[resource.Name];
            Assert.True(stack.Exists(declared));
            Assert.Equal(resource.Value.GetProperty("Type").GetString(), declared.Type);
            var site = new TemplateSite(resource.Name, "Properties");
            AssertSame(resource.Value.GetProperty("Properties"), stack.Evaluate(declared.Properties!.Value.Value, site)!, resource.Name);
        }

        foreach (var absent in expected.RootElement.GetProperty("absentResources").EnumerateArray())
            Assert.False(stack.Exists(stack.Stack.ResourcesById[absent.GetString()!]));

        var result = TemplateLoader.Load([path], options);
        var outputs = expected.RootElement.GetProperty("outputs").EnumerateObject().ToList();
        Assert.Equal(outputs.Select(output => output.Name), result.Outputs.Select(output => output.Name));
        foreach (var output in outputs)
            AssertText(output.Value.GetString()!, result.Outputs.Single(found => found.Name == output.Name).Value, output.Name);
        foreach (var export in expected.RootElement.GetProperty("exports").EnumerateObject())
            AssertText(export.Value.GetString()!, result.Outputs.Single(found => found.Export == export.Name).Value, export.Name);
        Assert.Equal(["Api.ApiArn", "Api.ApiId", "Api.Dns.Http", "Api.Dns.Realtime", "Key.ApiKey", "Role.Arn", "Space.ChannelNamespaceArn"],
            madeUp.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(result.Apis[0].Id, madeUp["Api.ApiId"]);
        Assert.Equal(result.Keys[0].Value, madeUp["Key.ApiKey"]);

        void AssertSame(JsonElement wanted, TemplateNode found, string place)
        {
            switch (wanted.ValueKind)
            {
                case JsonValueKind.Object:
                    var map = Assert.IsType<MapNode>(found);
                    Assert.Equal(wanted.EnumerateObject().Select(p => p.Name).Order(), map.Entries.Select(e => e.Key).Order());
                    foreach (var property in wanted.EnumerateObject())
                        AssertSame(property.Value, map.Find(property.Name)!, $"{place}.{property.Name}");
                    break;
                case JsonValueKind.Array:
                    var list = Assert.IsType<ListNode>(found);
                    Assert.Equal(wanted.GetArrayLength(), list.Items.Count);
                    for (var i = 0; i < list.Items.Count; i++) AssertSame(wanted[i], list.Items[i], $"{place}[{i}]");
                    break;
                case JsonValueKind.String:
                    AssertText(wanted.GetString()!, Assert.IsType<ScalarNode>(found).Text, place);
                    break;
                default: // Numbers: CloudFormation makes them from texts by the property's type, as our readers do.
                    Assert.Equal(wanted.GetRawText(), Assert.IsType<ScalarNode>(found).Text);
                    break;
            }
        }

        // "<GetAtt X>" stands for any value, as long as it is the same wherever it appears.
        void AssertText(string wanted, string found, string place)
        {
            var open = wanted.IndexOf("<GetAtt ", StringComparison.Ordinal);
            if (open < 0)
            {
                Assert.Equal(wanted, found);
                return;
            }

            var close = wanted.IndexOf('>', open);
            var (head, tail) = (wanted[..open], wanted[(close + 1)..]);
            Assert.StartsWith(head, found, StringComparison.Ordinal);
            Assert.EndsWith(tail, found, StringComparison.Ordinal);
            var value = found[head.Length..^tail.Length];
            Assert.True(value.Length > 0, place);
            var name = wanted[(open + "<GetAtt ".Length)..close];
            if (!madeUp.TryAdd(name, value)) Assert.Equal(madeUp[name], value);
        }
    }
}
