using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization.Iam;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers;

/// <summary>What handlers are told of a request (handlers, section 2): code and functions alike, in all modes, over all protocols.</summary>
public sealed class ContextTests(ContextGateway gateway) : IClassFixture<ContextGateway>
{
    private static readonly string[] s_keys =
        ["identity", "result", "request", "info", "error", "prev", "stash", "outErrors", "events"];

    // Of the upgrade and the transport; what they hold is no business of these tests.
    private static readonly string[] s_transportHeaders =
        ["connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "content-length", "content-type", "traceparent"];

    public static TheoryData<string, HandledOperation> Ways
    {
        get
        {
            var ways = new TheoryData<string, HandledOperation>();
            foreach (var operation in Enum.GetValues<HandledOperation>())
            {
                ways.Add("code", operation);
                ways.Add("direct", operation);
            }

            return ways;
        }
    }

    public static TheoryData<string, HandledOperation, AuthMode> Modes
    {
        get
        {
            var modes = new TheoryData<string, HandledOperation, AuthMode>();
            foreach (var (ns, operation) in Ways.Select(row => row.Data))
            {
                foreach (var mode in Enum.GetValues<AuthMode>())
                {
                    modes.Add(ns, operation, mode);
                }
            }

            return modes;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Every_member_is_there_whatever_it_holds(string ns, HandledOperation operation)
    {
        var report = await gateway.ReportAsync(ns, operation, AuthMode.ApiKey, path: "/a/b", events: ["1", "{}"]);
        var context = ContextGateway.ContextOf(ns, report);

        string[] keys = ns == "code" ? [.. s_keys, "env"] : s_keys;
        Assert.Equal(keys.Order(), context.Select(member => member.Key).Order());
        context.Remove("request");
        context.Remove("env");
        var isPublish = operation != HandledOperation.Subscribe;
        var events = isPublish ? context["events"]!.AsArray() : null;
        var expected = new JsonObject
        {
            ["identity"] = null,
            ["result"] = null,
            ["info"] = new JsonObject
            {
                ["channel"] = new JsonObject { ["path"] = $"/{ns}/a/b", ["segments"] = new JsonArray(ns, "a", "b") },
                ["channelNamespace"] = new JsonObject { ["name"] = ns },
                ["operation"] = isPublish ? "PUBLISH" : "SUBSCRIBE",
            },
            ["error"] = null,
            ["prev"] = null,
            ["stash"] = new JsonObject(),
            ["outErrors"] = new JsonArray(),
            ["events"] = isPublish
                ? new JsonArray(
                    new JsonObject { ["id"] = events![0]!["id"]!.DeepClone(), ["payload"] = 1 },
                    new JsonObject { ["id"] = events[1]!["id"]!.DeepClone(), ["payload"] = new JsonObject() })
                : null,
        };
        AssertEqual(expected, context);
        Assert.All(events ?? [], item => Assert.True(Guid.TryParse((string?)item!["id"], out _)));
        if (ns == "code")
        {
            Assert.All(report["types"]!.AsArray(), type => Assert.Equal("undefined", (string?)type));
            AssertEqual(new JsonObject(), report["ctx"]!["env"] ?? new JsonObject());
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public async Task An_identity_has_the_members_of_its_mode(string ns, HandledOperation operation, AuthMode mode)
    {
        var report = await gateway.ReportAsync(ns, operation, mode);

        var identity = ContextGateway.ContextOf(ns, report)["identity"];
        var claims = identity?["claims"]?.AsObject();
        foreach (var time in (string[])["iat", "exp"])
        {
            // They keep their JSON types.
            if (claims is not null)
            {
                Assert.InRange((long)claims[time]!, 1_700_000_000, 9_000_000_000);
                claims.Remove(time);
            }
        }

        JsonNode? expected = mode switch
        {
            AuthMode.ApiKey => null,
            AuthMode.AwsIam => JsonNode.Parse($$"""
                {
                  "accountId": "000000000000", "userArn": "arn:aws:iam::000000000000:user/ana",
                  "username": "{{new IamUser("000000000000", "ana", null!).PrincipalId}}", "sourceIp": ["127.0.0.1"],
                  "cognitoIdentityPoolId": null, "cognitoIdentityId": null, "cognitoIdentityAuthType": null, "cognitoIdentityAuthProvider": null
                }
                """),
            AuthMode.CognitoUserPools => JsonNode.Parse($$"""
                {
                  "sub": "3f1c", "issuer": "{{gateway.PoolIssuer}}", "username": "ana",
                  "claims": {"sub": "3f1c", "iss": "{{gateway.PoolIssuer}}", "cognito:username": "ana", "token_use": "id", "aud": "web"},
                  "groups": null, "sourceIp": ["127.0.0.1"], "defaultAuthStrategy": "ALLOW"
                }
                """),
            AuthMode.OpenIdConnect => JsonNode.Parse($$"""
                {
                  "sub": "3f1c", "issuer": "{{gateway.IssuerAddress}}/oidc",
                  "claims": {"sub": "3f1c", "iss": "{{gateway.IssuerAddress}}/oidc", "aud": "web"}
                }
                """),
            _ => JsonNode.Parse("""
                {"handlerContext": {"tenant": "t-9", "level": "3"}, "resolverContext": {"tenant": "t-9", "level": "3"}}
                """),
        };
        AssertEqual(expected, identity);
        if (ns == "code")
        {
            Assert.Equal(
                mode switch
                {
                    AuthMode.ApiKey => "API Key Authorization",
                    AuthMode.AwsIam => "IAM Authorization",
                    AuthMode.CognitoUserPools => "User Pool Authorization",
                    AuthMode.OpenIdConnect => "Open ID Connect Authorization",
                    _ => "Lambda Authorization",
                },
                (string?)report["authType"]);
            Assert.Equal((expected?.AsObject() ?? []).Select(member => member.Key), report["keys"]!.AsArray().Select(key => (string?)key));
        }
    }

    [Theory]
    [InlineData("code")]
    [InlineData("direct")]
    public async Task Claims_keep_their_types_and_groups_are_a_list(string ns)
    {
        var claims = JsonNode.Parse("""
            {"cognito:groups": ["staff", "büro"], "n": 1.5, "big": 9007199254740993, "yes": true, "no": null, "o": {"a": [1, {"__proto__": 1}]}, "quote": "a\"b\n"}
            """)!.AsObject();

        var report = await gateway.ReportAsync(ns, HandledOperation.PublishOverHttp, AuthMode.CognitoUserPools, claims);

        var identity = ContextGateway.ContextOf(ns, report)["identity"]!;
        AssertEqual(JsonNode.Parse("""["staff", "büro"]"""), identity["groups"]);
        var seen = identity["claims"]!;
        Assert.Equal(ns == "code" ? 9007199254740992 : 9007199254740993, (long)seen["big"]!); // numbers of JavaScript are doubles
        foreach (var name in (string[])["n", "yes", "no", "o", "quote"])
        {
            AssertEqual(claims[name], seen[name]);
        }
    }

    [Theory]
    [InlineData("code")]
    [InlineData("direct")]
    public async Task An_access_token_names_its_user_by_another_claim(string ns)
    {
        var claims = new JsonObject { ["token_use"] = "access", ["client_id"] = "web", ["username"] = "bo", ["cognito:username"] = null };

        var report = await gateway.ReportAsync(ns, HandledOperation.Subscribe, AuthMode.CognitoUserPools, claims);

        Assert.Equal("bo", (string?)ContextGateway.ContextOf(ns, report)["identity"]!["username"]);
    }

    [Theory]
    [InlineData("code")]
    [InlineData("direct")]
    public async Task Headers_of_HTTP_have_lower_case_names_and_lists_where_they_repeat(string ns)
    {
        var body = Messages.HttpBody($"/{ns}/a", "1");
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        await connection.SendAsync(Encoding.UTF8.GetBytes(
            $"POST /event HTTP/1.1\r\nHost: {ContextGateway.Domain}:8443\r\nX-Api-Key: {Credentials.ApiKey}\r\nContent-Type: application/json\r\n"
            + "X-Tag: a\r\nX-Other: one, two\r\nx-tag: b\r\nCOOKIE: session=1\r\nX-TAG: c\r\nUser-Agent: demo/1\r\nAccept: x/1\r\nAccept: x/2\r\nX-Quote: \"é\\\r\nX-Empty:\r\n"
            + $"Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}"));
        var head = await connection.ReadHeadAsync();
        var length = int.Parse(head.Header("Content-Length")!, System.Globalization.CultureInfo.InvariantCulture);
        await Deadline.WaitAsync(async token => Assert.True(await connection.FillAsync(length, token)), "the body");

        var report = await gateway.FindAsync(ns, JsonNode.Parse(connection.Take(length))!.AsObject());

        var request = ContextGateway.ContextOf(ns, report)["request"]!;
        AssertEqual(
            JsonNode.Parse($$"""
            {
              "host": "{{ContextGateway.Domain}}:8443", "x-api-key": "{{Credentials.ApiKey}}", "x-tag": ["a", "b", "c"], "x-other": "one, two",
              "user-agent": "demo/1", "accept": ["x/1", "x/2"], "x-quote": "\"é\\", "x-empty": ""
            }
            """),
            WithoutTransport(request["headers"]!.AsObject()));
        Assert.Equal(ContextGateway.Domain, (string?)request["domainName"]);
    }

    [Theory]
    [InlineData("code", HandledOperation.PublishOverWebSocket)]
    [InlineData("code", HandledOperation.Subscribe)]
    [InlineData("direct", HandledOperation.PublishOverWebSocket)]
    [InlineData("direct", HandledOperation.Subscribe)]
    public async Task Headers_of_a_message_are_those_of_the_upgrade_and_over_them_its_own(string ns, HandledOperation operation)
    {
        await using var socket = await gateway.ConnectAsync(
            ContextGateway.Domain, ("X-Tag", "a"), ("x-tag", "b"), ("Cookie", "session=1"), ("User-Agent", "demo/1"), ("X-Over", "upgrade"));
        var authorization = new JsonObject
        {
            ["host"] = "other.example.com", ["X-API-Key"] = Credentials.ApiKey, ["x-over"] = "message", ["X-Own"] = "é\"", ["Cookie"] = "session=2",
            ["x-number"] = 5,
        };

        var report = await gateway.ReportAsync(socket, ns, operation, authorization);

        var request = ContextGateway.ContextOf(ns, report)["request"]!;
        AssertEqual(
            JsonNode.Parse($$"""
            {
              "host": "other.example.com", "x-api-key": "{{Credentials.ApiKey}}", "x-tag": ["a", "b"], "user-agent": "demo/1", "x-over": "message",
              "x-own": "é\""
            }
            """),
            WithoutTransport(request["headers"]!.AsObject()));
        Assert.Equal(ContextGateway.Domain, (string?)request["domainName"]); // of the connection, whatever the message claims
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task The_domain_is_null_at_another_address(string ns, HandledOperation operation)
    {
        JsonObject report;
        if (operation == HandledOperation.PublishOverHttp)
        {
            report = await gateway.FindAsync(ns, (await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody($"/{ns}/a", "1"))).Json);
        }
        else
        {
            await using var socket = await gateway.ConnectAsync(host: null);
            report = await gateway.ReportAsync(socket, ns, operation, gateway.Authorize(AuthMode.ApiKey));
        }

        var request = ContextGateway.ContextOf(ns, report)["request"]!.AsObject();
        Assert.True(request.ContainsKey("domainName"));
        Assert.Null(request["domainName"]);
    }

    [Theory]
    [InlineData("code", HandledOperation.PublishOverHttp, "/room-7/", "/room-7", "room-7")]
    [InlineData("code", HandledOperation.PublishOverWebSocket, "/Room", "/Room", "Room")]
    [InlineData("code", HandledOperation.Subscribe, "/room/", "/room", "room")]
    [InlineData("code", HandledOperation.Subscribe, "/*", "/*", "*")]
    [InlineData("code", HandledOperation.Subscribe, "/a/b/c/*", "/a/b/c/*", "a b c *")]
    [InlineData("direct", HandledOperation.PublishOverHttp, "/room-7/", "/room-7", "room-7")]
    [InlineData("direct", HandledOperation.PublishOverWebSocket, "/a/b/c/d", "/a/b/c/d", "a b c d")]
    [InlineData("direct", HandledOperation.Subscribe, "/room/", "/room", "room")]
    [InlineData("direct", HandledOperation.Subscribe, "/a/*", "/a/*", "a *")]
    public async Task Channels_are_in_their_canonical_form(string ns, HandledOperation operation, string sent, string path, string segments)
    {
        var report = await gateway.ReportAsync(ns, operation, AuthMode.ApiKey, path: sent);

        var channel = ContextGateway.ContextOf(ns, report)["info"]!["channel"]!;
        Assert.Equal($"/{ns}{path}", (string?)channel["path"]);
        Assert.Equal([ns, .. segments.Split(' ')], channel["segments"]!.AsArray().Select(segment => (string?)segment));
    }

    [Theory]
    [InlineData("code")]
    [InlineData("direct")]
    public async Task Payloads_are_parsed_whatever_they_are(string ns)
    {
        foreach (var events in (string[][])
        [
            ["null", "true", "-0.5e3", "\"text\"", "[]"],
            ["{}", "{\"a\":{\"b\":[null,\"\"]}}", " { \"a\" : 1 } ", "\"\\u0041\\n\\ud83d\\ude00\\\"\"", "\"é😀\\u2028\""],
            ["{\"__proto__\":{\"x\":1}}", "{\"constructor\":1,\"toJSON\":2}", "\"\\ud800\"", "[1,[2,[3]]]", "9007199254740993"],
        ])
        {
            var report = await gateway.ReportAsync(ns, HandledOperation.PublishOverHttp, AuthMode.ApiKey, events: events);

            var seen = ContextGateway.ContextOf(ns, report)["events"]!.AsArray();
            Assert.Equal(events.Length, seen.Count);
            foreach (var (text, item) in events.Zip(seen))
            {
                if (text == "\"\\ud800\"")
                {
                    Assert.Equal(text, item!["payload"]!.GetValue<JsonElement>().GetRawText(), ignoreCase: true);
                }
                else if (text == "9007199254740993" && ns == "code")
                {
                    Assert.Equal("9007199254740992", item!["payload"]!.ToJsonString());
                }
                else
                {
                    AssertEqual(JsonNode.Parse(text), item!["payload"], message: text);
                }
            }
        }
    }

    [Theory]
    [InlineData("code")]
    [InlineData("direct")]
    public async Task The_ids_of_events_are_those_of_the_answer(string ns)
    {
        const string Failing = "export const onPublish = (ctx) => ctx.events.map((e) => ({ id: e.id, error: e.id }))";
        await using var function = await FakeLambda.StartAsync(call => call.ReturnAsync(new JsonObject
        {
            ["events"] = new JsonArray([.. call.Json["events"]!.AsArray().Select(
                item => new JsonObject { ["id"] = (string?)item!["id"], ["error"] = (string?)item["id"] })]),
        }.ToJsonString()));
        await using var fixture = ns == "code"
            ? await HandlerFixture.StartAsync(Failing)
            : await HandlerFixture.StartDirectAsync(function.Address);

        var answer = await fixture.PostAsync("/chat/a", "1", Messages.EventOf((240 * 1024) + 1), "2");

        var failed = answer.Json["failed"]!.AsArray();
        Assert.Equal([0, 1, 2], failed.Select(item => (int)item!["index"]!));
        Assert.Equal((string?)failed[0]!["identifier"], (string?)failed[0]!["message"]);
        Assert.Equal("EventTooLargeException", (string?)failed[1]!["code"]);
        Assert.Equal((string?)failed[2]!["identifier"], (string?)failed[2]!["message"]);
    }

    [Fact]
    public async Task What_a_call_writes_into_its_context_no_other_call_sees()
    {
        const string Code = """
            export const onPublish = (ctx) => {
              const seen = JSON.stringify([ctx.stash, ctx.outErrors, ctx.info, ctx.identity, ctx.extra, ctx.env, ctx.events.map((e) => e.payload)])
              ctx.stash.x = 1
              ctx.info.channel.path = 'changed'
              ctx.info.channel.segments.push('more')
              ctx.events[0].payload.n = 2
              ctx.events.push(1)
              util.appendError('appended')
              try { ctx.extra = 1 } catch (e) {}
              try { ctx.env.x = 1 } catch (e) {}
              ctx.request.headers.host = 'changed'
              return [{ id: ctx.events[0].id, payload: seen }]
            }
            """;
        await using var fixture = await HandlerFixture.StartAsync(Code, "--Fanfare:Handlers:Workers=1");
        await using var subscriber = await fixture.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/chat/a");
        const string Expected = """[{},[],{"channel":{"path":"/chat/a","segments":["chat","a"]},"channelNamespace":{"name":"chat"},"operation":"PUBLISH"},null,null,{},[{"n":1}]]""";
        for (var i = 0; i < 3; i++)
        {
            await fixture.PostAsync("/chat/a", "{\"n\":1}");
            Assert.Equal(Expected, (string?)JsonNode.Parse(await subscriber.NextEventAsync("s")));
        }
    }

    private static JsonObject WithoutTransport(JsonObject headers)
    {
        foreach (var name in s_transportHeaders)
        {
            headers.Remove(name);
        }

        return headers;
    }

    private static void AssertEqual(JsonNode? expected, JsonNode? actual, string message = "") => Assert.True(
        JsonNode.DeepEquals(expected, actual),
        $"{message}\nexpected {expected?.ToJsonString(Credentials.Relaxed)}\ngot      {actual?.ToJsonString(Credentials.Relaxed)}");
}
