using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Authorization.Iam;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

public sealed class IamAuthenticatorTests
{
    private const string Channel = "\"/default/room\"";
    private const string Events = """["{\"n\":1}"]""";
    private const string SubscribeBody = """{"channel":"/default/room"}""";
    private const string PublishBody = """{"channel":"/default/room","events":["{\"n\":1}"]}""";

    private const string Form = "The Authorization must be AWS4-HMAC-SHA256 with Credential, sorted SignedHeaders and Signature";
    private const string Unsigned = "The signed headers must include host and x-amz-date";
    private const string Time = "The x-amz-date must be a time such as 20260102T030405Z, on the day of the credential's scope";

    /// <summary>What is done to a good authorization value, and what comes of it.</summary>
    public static TheoryData<string, string, string> Edits => new()
    {
        { "Signature=", "signature=", Form },
        { "Credential=", "Credentials=", Form },
        { "SignedHeaders=", "Signedheaders=", Form },
        { "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256", Form },
        { "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256-PAYLOAD ", Form },
        { "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Version=1, ", Form },
        { "AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256 Credential=x/20260102/eu-west-1/appsync/aws4_request, ", Form },
        { "accept;", "Accept;", Form },
        { "accept;content-encoding", "content-encoding;accept", Form },
        { "accept;", "accept;accept;", Form },
        { "accept;", "accept;;", Form },
        { "accept;", ";accept;", Form },
        { "host;x-amz-date", "host", Unsigned },
        { "host;x-amz-date", "x-amz-date", Unsigned },
        { "host;x-amz-date", "host;x-amz-date;x-missing", "A signed header is missing" },
        { "aws4_request", "aws4", Form },
        { "/appsync/", "/", Form },
        { "/appsync/", "/appsync/x/", Form },
        { "/appsync/", "/lambda/", "The credential must be scoped to eu-west-1/appsync" },
        { "/eu-west-1/", "/us-east-1/", "The credential must be scoped to eu-west-1/appsync" },
        { ReferenceSigner.ExampleId + "/", "/", Form },
        { "accept;", "", "signature mismatch" },
    };

    [Theory]
    [MemberData(nameof(Edits))]
    public void A_wrong_authorization_is_a_bad_request(string find, string replacement, string message)
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject("{}");
        var value = (string)signed["authorization"]!;
        signed["authorization"] = value.Replace(find, replacement, StringComparison.Ordinal);
        Assert.NotEqual(value, (string)signed["authorization"]!);

        bench.Connect(signed).AssertBadRequest(message);
    }

    [Theory]
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(0)]
    public void A_signature_of_another_length_is_malformed(int length)
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject("{}");
        var value = (string)signed["authorization"]!;
        signed["authorization"] = (value + "0")[..(value.Length - 64 + length)];

        bench.Connect(signed).AssertBadRequest(Form);
    }

    [Fact]
    public void Parameters_may_come_in_any_order_and_without_spaces()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject("{}");
        var parts = ((string)signed["authorization"]!)["AWS4-HMAC-SHA256 ".Length..].Split(", ");

        signed["authorization"] = $"AWS4-HMAC-SHA256 {parts[2]},{parts[1]},{parts[0]}";
        bench.Connect(signed).AssertGranted();
        signed["authorization"] = $"AWS4-HMAC-SHA256   {parts[1]} ,  {parts[0]},{parts[2]} ";
        bench.Connect(signed).AssertGranted();
    }

    [Fact]
    public void An_unknown_key_is_unauthorized_whether_its_signature_fits_or_not()
    {
        using var bench = new IamBench();
        bench.Connect((bench.Signer with { AccessKeyId = "AKIDOTHER" }).SignObject("{}")).AssertUnauthorized();
        bench.Connect((bench.Signer with { AccessKeyId = "AKIDOTHER" }).SignObject("no")).AssertUnauthorized();
        bench.Connect((bench.Signer with { AccessKeyId = new string('A', 200) }).SignObject("{}")).AssertUnauthorized();
        bench.Connect((bench.Signer with { AccessKeyId = "akidexample" }).SignObject("{}")).AssertUnauthorized();
        bench.Connect((bench.Signer with { AccessKeyId = "ключ" }).SignObject("{}")).AssertUnauthorized();
    }

    [Fact]
    public void A_signature_over_another_payload_or_by_another_secret_is_a_mismatch()
    {
        using var bench = new IamBench();
        bench.Connect(bench.Signer.SignObject(SubscribeBody)).AssertMismatch();
        bench.Message(AuthOperation.Subscribe, Channel, null, bench.Signer.SignObject("{}")).AssertMismatch();
        bench.Message(AuthOperation.Subscribe, Channel, null, bench.Signer.SignObject("""{"channel":"/default/roam"}""")).AssertMismatch();
        bench.Message(AuthOperation.Publish, Channel, Events, bench.Signer.SignObject(SubscribeBody)).AssertMismatch();
        bench.Message(AuthOperation.Publish, Channel, Events, bench.Signer.SignObject(PublishBody.Replace('1', '2'))).AssertMismatch();
        bench.HttpPublish("/default/room", PublishBody, bench.Signer.Sign(PublishBody + " ")).AssertMismatch();
        bench.Connect((bench.Signer with { Secret = "guess" }).SignObject("{}")).AssertMismatch();
        bench.Connect((bench.Signer with { Path = "/event/realtime" }).SignObject("{}")).AssertMismatch();
        bench.Connect((bench.Signer with { Method = "GET" }).SignObject("{}")).AssertMismatch();
    }

    [Fact]
    public void A_changed_header_that_was_signed_is_a_mismatch_and_one_that_was_not_is_nothing()
    {
        using var bench = new IamBench();
        var signed = (bench.Signer with { NotSigned = ["accept"] }).SignObject("{}");
        signed["accept"] = "text/plain";
        signed["x-other"] = "value";
        bench.Connect(signed).AssertGranted();
        signed["host"] = "elsewhere";
        bench.Connect(signed).AssertMismatch();
    }

    [Fact]
    public void Http_publishes_sign_the_raw_body_and_the_sorted_query()
    {
        using var bench = new IamBench();
        const string body = " {\"events\" : [ \"1\" ],\"channel\":\"/default/x\"} ";
        bench.HttpPublish("/default/x", body, bench.Signer.Sign(body)).AssertGranted();
        var query = bench.Signer with { Query = "a=1&a=2&b=%20%2F%C3%A9&c=" };
        bench.HttpPublish("/default/x", body + " ", query.Sign(body + " "), "c&b=%20/é&a=2&a=1").AssertGranted();
        bench.HttpPublish("/default/x", body, query.Sign(body), "a=1").AssertMismatch();
    }

    [Fact]
    public void Names_are_found_in_any_case_and_the_last_of_two_counts()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.Sign("{}");
        var json = new JsonObject { ["HOST"] = "decoy" };
        foreach (var (name, value) in signed)
        {
            json[name.ToUpperInvariant()] = value;
        }

        bench.Connect(json).AssertGranted();
        var text = new StringBuilder("{\"host\":\"decoy\",\"x-number\":1,\"x-object\":{\"host\":\"decoy\"}");
        foreach (var (name, value) in signed)
        {
            text.Append($",\"{name}\":{JsonSerializer.Serialize(value)}");
        }

        bench.Message(AuthOperation.Subscribe, Channel, null, text + "}").AssertMismatch(); // signed for a connect, but read in full
        text.Clear().Append('{').AppendJoin(',', bench.Signer.Sign(SubscribeBody).Select(header => $"\"{header.Name}\":{Escape(header.Value)}"));
        bench.Message(AuthOperation.Subscribe, Channel, null, text + "}").AssertGranted();

        // Every character as \uXXXX: how a value is spelled in JSON means nothing.
        static string Escape(string value) => '"' + string.Concat(value.Select(c => $"\\u{(int)c:x4}")) + '"';
    }

    [Fact]
    public void Values_are_trimmed_and_their_spaces_collapsed()
    {
        using var bench = new IamBench();
        var signer = bench.Signer;
        bench.Connect((signer with { Headers = [.. signer.Headers, ("x-spaced", "  a \t  b   c ")] }).SignObject("{}")).AssertGranted();
        bench.Connect((signer with { Headers = [.. signer.Headers, ("x-long", new string('x', 3000))] }).SignObject("{}")).AssertGranted();
    }

    [Fact]
    public void Credentials_in_upgrade_headers_are_verified_with_those_headers()
    {
        using var bench = new IamBench();
        var headers = bench.Signer with
        {
            Headers = [("accept", "a, b"), ("host", "localhost:8080"), ("x-amz-content-sha256", ReferenceSigner.Hash("{}")), ("x-amz-user-agent", "x")],
        };
        (string, string)[] upgrade = [("Upgrade", "websocket"), .. headers.Sign("{}")];
        bench.ConnectByHeaders(upgrade).AssertGranted();
        bench.ConnectByHeaders([.. upgrade.Where(header => header.Item1 != "x-amz-user-agent")])
            .AssertBadRequest("A signed header is missing");

        // Several lines of one header are one value.
        (string, string)[] split = [.. upgrade.Where(header => header.Item1 != "accept"), ("accept", " a"), ("accept", "b ")];
        bench.ConnectByHeaders(split).AssertMismatch(); // signed as "a, b", sent as "a,b"
        (string, string)[] joined = [.. (headers with { Headers = [("accept", "a,b"), ("host", "localhost:8080")] }).Sign("{}").Where(header => header.Name != "accept")];
        bench.ConnectByHeaders([.. joined, ("accept", " a"), ("accept", "b ")]).AssertGranted();
    }

    [Fact]
    public void A_message_may_leave_signed_values_to_the_upgrade_but_not_its_token()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject(SubscribeBody);
        signed.Remove("accept");
        bench.Message(AuthOperation.Subscribe, Channel, null, signed.DeepClone().AsObject()).AssertBadRequest("A signed header is missing");
        bench.Message(
            AuthOperation.Subscribe, Channel, null, signed, ("Accept", "application/json, text/javascript"), ("x-amz-security-token", "another's"))
            .AssertGranted();
    }

    [Theory]
    [InlineData(-300, null)]
    [InlineData(-301, "Signature expired")]
    [InlineData(300, null)]
    [InlineData(301, "Signature not yet current")]
    public void The_clock_may_differ_by_five_minutes(int seconds, string? message)
    {
        using var bench = new IamBench();
        AssertAnswer(bench.Connect((bench.Signer with { Time = bench.Start.AddSeconds(seconds) }).SignObject("{}")), message);
    }

    [Theory]
    [InlineData(-3600, null)]
    [InlineData(-3601, "Signature expired")]
    public void The_clock_skew_can_be_configured(int seconds, string? message)
    {
        using var bench = new IamBench(("Fanfare:Iam:ClockSkew", "01:00:00"));
        AssertAnswer(bench.Connect((bench.Signer with { Time = bench.Start.AddSeconds(seconds) }).SignObject("{}")), message);
    }

    [Fact]
    public void A_signature_expires_while_the_clock_goes_on()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject("{}");
        bench.Clock.Advance(TimeSpan.FromSeconds(300));
        bench.Connect(signed).AssertGranted();
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        bench.Connect(signed).AssertBadRequest("Signature expired");
    }

    [Fact]
    public void The_scope_must_be_of_the_day_of_the_request()
    {
        using var bench = new IamBench();
        bench.Connect((bench.Signer with { ScopeDate = "20200101" }).SignObject("{}")).AssertBadRequest(Time);
        foreach (var date in (string[])["", "now", "20260102", "20261302T030405Z", "20260102T030405", "2026-01-02T03:04:05Z", "20260102T250405Z", new('2', 99)])
        {
            var signer = bench.Signer;
            bench.Connect((signer with { Headers = [.. signer.Headers, ("x-amz-date", date)] }).SignObject("{}")).AssertBadRequest(Time);
        }
    }

    [Fact]
    public void A_date_header_serves_where_there_is_no_x_amz_date()
    {
        using var bench = new IamBench();
        var signer = bench.Signer;
        bench.Connect((signer with { Headers = [.. signer.Headers, ("date", signer.Time.ToString("r"))] }).SignObject("{}")).AssertGranted();
        bench.Connect((signer with { Headers = [.. signer.Headers, ("date", signer.Time.ToString("yyyyMMdd'T'HHmmss'Z'"))] }).SignObject("{}")).AssertGranted();
    }

    [Fact]
    public void A_signed_content_hash_must_be_that_of_the_payload()
    {
        using var bench = new IamBench();
        const string refused = "The x-amz-content-sha256 must be the SHA-256 of the payload";
        AssertHash(ReferenceSigner.Hash(PublishBody), null);
        AssertHash(ReferenceSigner.Hash("other"), "signature mismatch");
        AssertHash("UNSIGNED-PAYLOAD", refused);
        AssertHash("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", refused);
        AssertHash("", refused);
        var signer = bench.Signer;
        var notSigned = signer with { Headers = [.. signer.Headers, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], NotSigned = ["x-amz-content-sha256"] };
        bench.HttpPublish("/default/room", PublishBody, notSigned.Sign(PublishBody)).AssertGranted();

        void AssertHash(string hash, string? message)
        {
            var withHash = bench.Signer with { Headers = [.. bench.Signer.Headers, ("x-amz-content-sha256", hash)] };
            if (hash.Length > 0)
            {
                // A dictionary of headers has none that is empty.
                AssertAnswer(bench.HttpPublish("/default/room", PublishBody, withHash.Sign(PublishBody)), message);
            }

            AssertAnswer(bench.Message(AuthOperation.Publish, Channel, Events, withHash.SignObject(PublishBody)), message);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_session_token_must_be_the_keys_own(bool isSigned)
    {
        using var bench = new IamBench(("Fanfare:Iam:Users:0:SessionToken", "token//1=="));
        var signer = bench.Signer with { SignsSessionToken = isSigned };
        bench.Connect((signer with { SessionToken = "token//1==" }).SignObject("{}")).AssertGranted();
        bench.Connect((signer with { SessionToken = "token//2==" }).SignObject("{}")).AssertUnauthorized();
        bench.Connect((signer with { SessionToken = "token//1=" }).SignObject("{}")).AssertUnauthorized();
        bench.Connect(signer.SignObject("{}")).AssertUnauthorized();

        using var permanent = new IamBench();
        permanent.Connect((permanent.Signer with { SessionToken = "token", SignsSessionToken = isSigned }).SignObject("{}")).AssertUnauthorized();
    }

    [Fact]
    public void An_authorization_without_bound_is_refused_unread()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject("{}");
        for (var i = 0; i < 100; i++)
        {
            signed[$"x-{i}"] = "";
        }

        bench.Connect(signed).AssertBadRequest("The authorization is too large");
        signed = bench.Signer.SignObject("{}");
        signed["x-large"] = new string('x', 70_000);
        bench.Connect(signed).AssertBadRequest("The authorization is too large");
        signed = bench.Signer.SignObject("{}");
        signed["authorization"] = (string)signed["authorization"]! + new string(' ', 9000);
        bench.Connect(signed).AssertBadRequest(Form);
    }

    [Fact]
    public void A_publish_may_be_repeated_at_once_and_not_played_back_later()
    {
        using var bench = new IamBench();
        var signed = bench.Signer.SignObject(PublishBody);
        var connect = bench.Signer.SignObject("{}");
        var subscribe = bench.Signer.SignObject(SubscribeBody);
        Publish().AssertGranted();
        Publish().AssertGranted();
        bench.Clock.Advance(TimeSpan.FromSeconds(15));
        Publish().AssertGranted();
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        Publish().AssertBadRequest("The signature was used before");
        bench.HttpPublish("/default/room", PublishBody, bench.Signer.Sign(PublishBody)).AssertGranted();

        // What only reads may be sent again until it expires.
        bench.Connect(connect).AssertGranted();
        bench.Message(AuthOperation.Subscribe, Channel, null, subscribe).AssertGranted();
        bench.Clock.Advance(TimeSpan.FromSeconds(200));
        bench.Connect(connect).AssertGranted();
        bench.Message(AuthOperation.Subscribe, Channel, null, subscribe).AssertGranted();
        Publish().AssertBadRequest("The signature was used before");

        AuthDecision Publish() => bench.Message(AuthOperation.Publish, Channel, Events, signed.DeepClone().AsObject());
    }

    [Fact]
    public void A_publish_signed_ahead_of_time_is_remembered_until_it_expires()
    {
        using var bench = new IamBench();
        var signed = (bench.Signer with { Time = bench.Start.AddSeconds(300) }).SignObject(PublishBody);
        bench.Message(AuthOperation.Publish, Channel, Events, signed.DeepClone().AsObject()).AssertGranted();
        for (var seconds = 20; seconds <= 600; seconds += 20)
        {
            bench.Clock.Advance(TimeSpan.FromSeconds(20));
            bench.Message(AuthOperation.Publish, Channel, Events, signed.DeepClone().AsObject()).AssertBadRequest("The signature was used before");
        }
    }

    [Fact]
    public void The_identity_has_the_members_that_handlers_see()
    {
        using var bench = new IamBench();
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            Assert.IsType<IamIdentity>(bench.Connect(bench.Signer.SignObject("{}")).Identity).WriteTo(writer);
        }

        var json = Encoding.UTF8.GetString(buffer.WrittenSpan);
        Assert.Matches("\"username\":\"AIDA[A-Z2-7]{17}\"", json);
        Assert.Equal(
            """{"accountId":"123456789012","userArn":"arn:aws:iam::123456789012:user/ana","username":"","sourceIp":["192.0.2.7"],"""
            + "\"cognitoIdentityPoolId\":null,\"cognitoIdentityId\":null,\"cognitoIdentityAuthType\":null,\"cognitoIdentityAuthProvider\":null}",
            System.Text.RegularExpressions.Regex.Replace(json, "AIDA\\w+", ""));
    }

    private static void AssertAnswer(AuthDecision decision, string? message)
    {
        if (message is null)
        {
            decision.AssertGranted();
        }
        else
        {
            decision.AssertBadRequest(message);
        }
    }
}
