using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary><c>POST /event</c> (§1.2 to 1.4). Bodies near their limit are in <see cref="HttpBodyTests"/>.</summary>
public sealed class HttpPublishTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    /// <summary>Bodies that are no publish.</summary>
    public static TheoryData<string> BadBodies =>
    [
        "hello", "{", "[]", "null", "1", "\"x\"", "{}", " ",
        """{"channel":"/default/a"}""",
        """{"events":["1"]}""",
        """{"channel":null,"events":["1"]}""",
        """{"channel":5,"events":["1"]}""",
        """{"channel":["/default/a"],"events":["1"]}""",
        """{"channel":"/default/a","events":null}""",
        """{"channel":"/default/a","events":[]}""",
        """{"channel":"/default/a","events":"1"}""",
        """{"channel":"/default/a","events":{"0":"1"}}""",
        """{"channel":"/default/a","events":[1]}""",
        """{"channel":"/default/a","events":[null]}""",
        """{"channel":"/default/a","events":[{"a":1}]}""",
        """{"channel":"/default/a","events":["1",true]}""",
        """{"channel":"/default/a","events":["hello"]}""",
        """{"channel":"/default/a","events":["1","{"]}""",
        """{"channel":"/default/a","events":[""]}""",
        """{"channel":"/default/a","events":["\ud800"]}""",
        """{"channel":"/default/a","events":["1"]""",
        """{"channel":"/default/a","events":["1"]}}""",
        """{"channel":"/default/a","events":["1"],}""",
        """{"Channel":"/default/a","Events":["1"]}""",
        """{"channel":"/default/*","events":["1"]}""",
        """{"channel":"/default/a_b","events":["1"]}""",
    ];

    [Fact]
    public async Task Success_has_an_identifier_per_event_in_order()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/http");

        var answer = await HttpPublisher.PostAsync(
            gateway.Server, Messages.HttpBody("/default/http", """{"from":"ana"}""", "42", "null"));

        Assert.Equal(200, answer.Status);
        Assert.StartsWith("application/json", answer.Header("Content-Type"), StringComparison.Ordinal);
        Assert.True(Guid.TryParse(answer.Header("x-amzn-RequestId"), out _));
        Assert.Null(answer.Header("x-amzn-errortype"));
        Assert.Equal(["failed", "successful"], answer.Json.Select(member => member.Key).Order());
        PublishLimitsTests.AssertOutcome(answer.Json, [0, 1, 2], []);
        var ids = answer.Json["successful"]!.AsArray().Select(item => Guid.ParseExact((string)item!["identifier"]!, "D"));
        Assert.Equal(3, ids.Distinct().Count());
        Assert.Equal("""{"from":"ana"}""", await subscriber.NextEventAsync("s"));
        Assert.Equal("42", await subscriber.NextEventAsync("s"));
        Assert.Equal("null", await subscriber.NextEventAsync("s"));
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/json; charset=UTF-8")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("text/plain")]
    [InlineData("application/octet-stream")]
    [InlineData("multipart/form-data")]
    [InlineData("nonsense")]
    public async Task Content_type_is_not_enforced(string contentType)
    {
        var answer = await HttpPublisher.PostAsync(
            gateway.Server, Messages.HttpBody("/default/a", "1"), ("Content-Type", contentType));

        Assert.True(answer.Status == 200, answer.Body);
    }

    [Theory]
    [InlineData("x-api-key")]
    [InlineData("X-API-KEY")]
    [InlineData("X-Api-Key")]
    public async Task Key_header_is_found_whatever_its_case(string name)
    {
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1"));

        var answer = await HttpPublisher.SendAsync(gateway.Server, HttpMethod.Post, "/event", body, (name, Credentials.ApiKey));

        Assert.Equal(200, answer.Status);
    }

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Body_that_is_no_publish_is_a_bad_request(string body)
    {
        var answer = await HttpPublisher.PostAsync(gateway.Server, body);

        answer.AssertError(400, "BadRequestException");
    }

    [Fact]
    public async Task Body_that_is_not_utf8_is_a_bad_request()
    {
        byte[] body = [.. "{\"channel\":\"/default/a\",\"events\":[\"\\\""u8, 0xc3, 0x28, .. "\\\"\"]}"u8];

        var answer = await HttpPublisher.SendAsync(
            gateway.Server, HttpMethod.Post, "/event", body, ("x-api-key", Credentials.ApiKey));

        answer.AssertError(400, "BadRequestException");
    }

    [Fact]
    public async Task Empty_body_is_told_apart()
    {
        (await HttpPublisher.PostAsync(gateway.Server, ""))
            .AssertError(400, "MalformedHttpRequestException", "Request body is empty.");
    }

    [Fact]
    public async Task Unknown_members_are_ignored()
    {
        var answer = await HttpPublisher.PostAsync(
            gateway.Server,
            """{"id":"x","type":"subscribe","channel":"/default/a","extra":[{"events":[]}],"events":["1"],"authorization":{}}""");

        Assert.True(answer.Status == 200, answer.Body);
    }

    [Theory]
    [InlineData(1, 200)]
    [InlineData(5, 200)]
    [InlineData(6, 400)]
    public async Task Publish_carries_one_to_five_events(int count, int status)
    {
        var body = Messages.HttpBody("/default/a", [.. Enumerable.Range(0, count).Select(n => $"{n}")]);

        var answer = await HttpPublisher.PostAsync(gateway.Server, body);

        if (status == 200)
        {
            PublishLimitsTests.AssertOutcome(answer.Json, [.. Enumerable.Range(0, count)], []);
        }
        else
        {
            answer.AssertError(400, "BadRequestException", "Input exceeded 5 event limit");
        }
    }

    [Theory]
    [InlineData("x-api-key", Credentials.UnknownKey)]
    [InlineData("x-api-key", "")]
    [InlineData("x-other", Credentials.ApiKey)]
    [InlineData("Authorization", Credentials.ApiKey)]
    [InlineData("Authorization", "Bearer abc")]
    [InlineData("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.")]
    [InlineData("Authorization", "")]
    public async Task Bad_or_missing_credentials_are_unauthorized(string name, string value)
    {
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1"));

        var answer = await HttpPublisher.SendAsync(gateway.Server, HttpMethod.Post, "/event", body, (name, value));

        answer.AssertError(401, "UnauthorizedException", "You are not authorized to make this call.");
    }

    [Fact]
    public async Task Key_wins_over_an_authorization_header()
    {
        var answer = await HttpPublisher.PostAsync(
            gateway.Server, Messages.HttpBody("/default/a", "1"), ("Authorization", "Bearer nonsense"));

        Assert.Equal(200, answer.Status);
    }

    [Fact]
    public async Task Unknown_namespace_is_forbidden_without_a_message()
    {
        (await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/nowhere/a", "1")))
            .AssertError(403, "UnauthorizedException", null);
    }

    [Fact]
    public async Task Bad_credentials_learn_nothing_about_namespaces()
    {
        foreach (var channel in (string[])["/nowhere/a", "/default/a"])
        {
            var answer = await HttpPublisher.SendAsync(
                gateway.Server, HttpMethod.Post, "/event", Encoding.UTF8.GetBytes(Messages.HttpBody(channel, "1")));
            answer.AssertError(401, "UnauthorizedException", "You are not authorized to make this call.");
        }
    }

    [Fact]
    public async Task Oversized_event_fails_on_its_own()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/partial");

        var answer = await HttpPublisher.PostAsync(
            gateway.Server, Messages.HttpBody("/default/partial", "1", Messages.EventOf(300 * 1024), "3"));

        Assert.Equal(200, answer.Status);
        PublishLimitsTests.AssertOutcome(answer.Json, [0, 2], [1]);
        Assert.Equal("1", await subscriber.NextEventAsync("s"));
        Assert.Equal("3", await subscriber.NextEventAsync("s"));
    }

    [Theory]
    [InlineData(245_759, true)]
    [InlineData(245_760, true)]
    [InlineData(245_761, false)]
    public async Task Event_may_have_240_kilobytes(int bytes, bool isAccepted)
    {
        var answer = await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/default/a", Messages.EventOf(bytes)));

        Assert.Equal(200, answer.Status);
        PublishLimitsTests.AssertOutcome(answer.Json, isAccepted ? [0] : [], isAccepted ? [] : [0]);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("PATCH")]
    public async Task Other_methods_are_not_allowed(string method)
    {
        var answer = await HttpPublisher.SendAsync(
            gateway.Server, new HttpMethod(method), "/event", null, ("x-api-key", Credentials.ApiKey));

        Assert.Contains(answer.Status, method == "GET" ? (int[])[404, 405] : [405]);
        Assert.True(Guid.TryParse(answer.Header("x-amzn-RequestId"), out _));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/events")]
    [InlineData("/event/x")]
    [InlineData("/event/realtime")]
    [InlineData("/graphql")]
    public async Task Post_to_another_path_publishes_nothing(string path)
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/paths");
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/paths", "1"));

        var answer = await HttpPublisher.SendAsync(
            gateway.Server, HttpMethod.Post, path, body, ("x-api-key", Credentials.ApiKey));

        Assert.Contains(answer.Status, path == "/event/realtime" ? (int[])[400, 404, 405, 426] : [404]);
        await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/default/paths", "2"));
        Assert.Equal("2", await subscriber.NextEventAsync("s"));
    }

    [Fact]
    public async Task Every_request_has_an_id_of_its_own()
    {
        var ids = new HashSet<string?>();
        for (var index = 0; index < 20; index++)
        {
            ids.Add((await HttpPublisher.PostAsync(gateway.Server, index % 2 == 0 ? "{" : Messages.HttpBody("/default/a", "1")))
                .Header("x-amzn-RequestId"));
        }

        Assert.Equal(20, ids.Count);
        Assert.DoesNotContain(null, ids);
    }

    [Fact]
    public async Task Event_published_over_http_is_delivered_once_the_answer_is_here()
    {
        await using var subscriber = await gateway.Server.ConnectAsync();
        await subscriber.SubscribeAsync("s", "/default/mixed");
        await using var publisher = await gateway.Server.ConnectAsync();

        for (var n = 0; n < 50; n += 2)
        {
            await HttpPublisher.PostAsync(gateway.Server, Messages.HttpBody("/default/mixed", $"{n}"));
            await publisher.PublishAsync("/default/mixed", $"{n + 1}");
        }

        for (var n = 0; n < 50; n++)
        {
            Assert.Equal($"{n}", await subscriber.NextEventAsync("s"));
        }
    }

    [Fact]
    public async Task No_answer_holds_a_credential()
    {
        foreach (var key in (string[])[Credentials.ApiKey, Credentials.UnknownKey])
        {
            var answer = await HttpPublisher.SendAsync(
                gateway.Server, HttpMethod.Post, "/event", "{"u8.ToArray(), ("x-api-key", key), ("Authorization", "s3cr3t"));
            var everything = answer.Body + string.Join('\n', answer.Headers);
            Assert.DoesNotContain(key, everything, StringComparison.Ordinal);
            Assert.DoesNotContain("s3cr3t", everything, StringComparison.Ordinal);
            Assert.DoesNotContain(gateway.Server.Log.Lines, line => line.Text.Contains(key, StringComparison.Ordinal));
        }
    }
}
