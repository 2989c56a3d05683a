using System.Diagnostics;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization.Iam;

/// <summary>Clients that sign by themselves, against a gateway on real sockets.</summary>
public sealed class SignedClientTests
{
    private const string Python = "/usr/bin/python3";

    // Signs with botocore what the gateway verifies: an HTTP publish, then connect, subscribe and publish of one WebSocket.
    private const string Botocore = """
        import base64, json, sys, urllib.request
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        import websocket

        host, key, secret, token = sys.argv[1:]
        credentials = Credentials(key, secret, token or None)

        def sign(body):
            request = AWSRequest('POST', f'http://{host}/event', {'host': host, 'content-type': 'application/json'}, body)
            SigV4Auth(credentials, 'appsync', 'us-east-1').add_auth(request)
            return dict(request.headers.items())

        def compact(value):
            return json.dumps(value, separators=(',', ':'))

        events = [json.dumps({'text': 'h\u00e9 </b> & \U0001f600'}), '2']
        body = compact({'channel': '/default/http', 'events': events}).encode()
        answer = urllib.request.urlopen(urllib.request.Request(f'http://{host}/event', body, sign(body)), timeout=10)
        assert len(json.load(answer)['successful']) == 2

        connect = base64.urlsafe_b64encode(json.dumps(sign('{}')).encode()).decode().rstrip('=')
        socket = websocket.create_connection(
            f'ws://{host}/event/realtime', subprotocols=['aws-appsync-event-ws', 'header-' + connect], timeout=10)

        def receive(kind):
            while True:
                message = json.loads(socket.recv())
                if message['type'] != 'ka':
                    assert message['type'] == kind, message
                    return message

        def send(kind, signed):
            socket.send(json.dumps({'type': kind, 'id': kind, **signed, 'authorization': sign(compact(signed))}))

        socket.send('{"type":"connection_init"}')
        receive('connection_ack')
        send('subscribe', {'channel': '/default/*'})
        receive('subscribe_success')

        # What is sent has spaces and \u escapes; signed is the compact form, once with escapes and once without.
        send('publish', {'channel': '/default/ws', 'events': events})
        received = [json.loads(socket.recv())['type'] for _ in range(3)]
        assert sorted(received) == ['data', 'data', 'publish_success'], received
        print('done')
        """;

    private static readonly string s_template = """
        Resources:
          Api:
            Type: AWS::AppSync::Api
            Properties:
              Name: signed
              EventConfig:
                AuthProviders: [{AuthType: AWS_IAM}]
                ConnectionAuthModes: [{AuthType: AWS_IAM}]
                DefaultPublishAuthModes: [{AuthType: AWS_IAM}]
                DefaultSubscribeAuthModes: [{AuthType: AWS_IAM}]
          Default:
            Type: AWS::AppSync::ChannelNamespace
            Properties: {ApiId: !GetAtt Api.ApiId, Name: default}
        """;

    [Fact]
    public async Task Curl_publishes_with_its_own_signature()
    {
        Assert.SkipUnless(await HasAsync("curl", "--help", "all", mustContain: "--aws-sigv4"), "curl lacks --aws-sigv4");
        await using var server = await StartAsync();
        Assert.StartsWith("200 {\"failed\":[],\"successful\":[{", await CurlAsync("/default/a", "AKIDANA:secret/of+ana"), StringComparison.Ordinal);
        Assert.StartsWith("400 {\"errors\":[{\"errorType\":\"BadRequestException\",\"message\":\"signature mismatch\"}]", await CurlAsync("/default/a", "AKIDANA:guess"), StringComparison.Ordinal);
        Assert.StartsWith("401 {\"errors\":[{\"errorType\":\"UnauthorizedException\"", await CurlAsync("/default/a", "AKIDNONE:guess"), StringComparison.Ordinal);
        Assert.StartsWith("403 {\"errors\":[{\"errorType\":\"AccessDeniedException\"", await CurlAsync("/default/a", "AKIDBO:secret"), StringComparison.Ordinal);

        async Task<string> CurlAsync(string channel, string user)
        {
            var (output, error) = await RunAsync(
                "curl", "-sS", "-w", "%{stderr}%{http_code}", "--aws-sigv4", "aws:amz:us-east-1:appsync", "--user", user,
                "-H", "content-type: application/json", "--data", Messages.HttpBody(channel, "{\"n\":\"é <&> /\"}"), new Uri(server.Address, "/event").ToString());
            return $"{error} {output}";
        }
    }

    [Theory]
    [InlineData("AKIDANA", "secret/of+ana", "")]
    [InlineData("ASIACY", "secret", "session//token==")]
    public async Task Botocore_signs_all_that_a_client_does(string key, string secret, string token)
    {
        Assert.SkipUnless(
            File.Exists(Python) && await HasAsync(Python, "-c", "import botocore.auth, websocket; print('both')", mustContain: "both"),
            "python3-botocore or python3-websocket is not installed");
        await using var server = await StartAsync();
        var (output, error) = await RunAsync(Python, "-c", Botocore, server.EndPoint.ToString(), key, secret, token);
        Assert.True(output.Trim() == "done", error);
    }

    [Fact]
    public async Task A_WebSocket_is_answered_in_the_protocols_shape()
    {
        await using var server = await StartAsync();
        var ana = Signer("AKIDANA", "secret/of+ana");
        await using (var refused = await server.ConnectAsync(Connect(ana, "no")))
        {
            await refused.SendAsync(Messages.Init);
            var error = WireError.AssertReply(await refused.NextAsync("connection_error"), "connection_error", null, "BadRequestException");
            Assert.Equal(("signature mismatch", 400), (error.Message, error.ErrorCode));
            await refused.AssertClosedAsync(1000);
        }

        await using (var denied = await server.ConnectAsync(Connect(Signer("AKIDBO", "secret"), "{}")))
        {
            await denied.SendAsync(Messages.Init);
            var error = WireError.AssertReply(await denied.NextAsync("connection_error"), "connection_error", null, "UnauthorizedException");
            Assert.Equal((null, 403), (error.Message, error.ErrorCode));
        }

        await using var socket = await server.ConnectAsync(Connect(ana, "{}"));
        await socket.InitAsync();
        await socket.SendAsync(Messages.Subscribe("s", "/default/a", ana.SignObject("""{"channel":"/default/a"}""")));
        await socket.NextAsync("subscribe_success", "s");
        await socket.SendAsync(Messages.Subscribe("t", "/default/b", ana.SignObject("""{"channel":"/default/a"}""")));
        Assert.Equal("signature mismatch", WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "t", "BadRequestException").Message);
        await socket.SendAsync(Messages.Subscribe("u", "/none/b", ana.SignObject("""{"channel":"/none/b"}""")));
        Assert.Null(WireError.AssertReply(await socket.NextAsync(), "subscribe_error", "u", "UnauthorizedException").Message);
        await socket.SendAsync(Messages.Publish("p", "/default/b", ana.SignObject("""{"channel":"/default/b","events":["1"]}"""), "2"));
        Assert.Equal("signature mismatch", WireError.AssertReply(await socket.NextAsync(), "publish_error", "p", "BadRequestException").Message);
        await socket.SendAsync(Messages.Publish("q", "/default/b", Signer("AKIDNONE", "secret").SignObject("{}"), "2"));
        Assert.NotNull(WireError.AssertReply(await socket.NextAsync(), "publish_error", "q", "UnauthorizedException").Message);
        await socket.SendAsync(Messages.Publish("r", "/default/b", ana.SignObject("""{"channel":"/default/b","events":["é"]}"""), "é"));
        await socket.NextAsync("publish_error", "r"); // well signed, but no JSON
        await socket.SendAsync(Messages.Publish("v", "/default/b", ana.SignObject("""{"channel":"/default/b","events":["2"]}"""), "2"));
        await socket.NextAsync("publish_success", "v");
    }

    [Fact]
    public async Task A_connect_may_carry_its_signature_in_real_headers()
    {
        await using var server = await StartAsync();
        var host = server.EndPoint.ToString();
        var signer = Signer("AKIDANA", "secret/of+ana") with
        {
            Headers = [("host", host), ("x-amz-content-sha256", ReferenceSigner.Hash("{}")), ("x-amz-user-agent", "android")],
        };
        var handshake = new Handshake
        {
            Protocols = [Credentials.EventsProtocol],
            Headers = [.. signer.Sign("{}").Where(header => header.Name != "host")],
        };
        await using var socket = await server.ConnectAsync(handshake);
        await socket.InitAsync();

        // A message may rely on those headers for what its own object leaves out.
        signer = signer with { Headers = [.. signer.Headers.Where(header => header.Name != "x-amz-content-sha256")] };
        var signed = signer.SignObject("""{"channel":"/default/a"}""");
        signed.Remove("x-amz-user-agent");
        await socket.SendAsync(Messages.Subscribe("s", "/default/a", signed));
        await socket.NextAsync("subscribe_success", "s");
    }

    [Fact]
    public async Task The_default_API_takes_no_signatures()
    {
        await using var server = await GatewayServer.StartAsync(s_users);
        var body = Messages.HttpBody("/default/a", "1");
        var signed = (Signer("AKIDANA", "secret/of+ana") with { Headers = [("host", server.EndPoint.ToString())] }).Sign(body);
        var answer = await HttpPublisher.SendAsync(server, HttpMethod.Post, "/event", System.Text.Encoding.UTF8.GetBytes(body), [.. signed]);
        answer.AssertError(401, "UnauthorizedException");
    }

    private static readonly string[] s_users =
    [
        "--Fanfare:Iam:Users:0:Name=ana", "--Fanfare:Iam:Users:0:AccessKeyId=AKIDANA", "--Fanfare:Iam:Users:0:SecretAccessKey=secret/of+ana",
        "--Fanfare:Iam:Users:0:Policies:0:Effect=Allow", "--Fanfare:Iam:Users:0:Policies:0:Action=appsync:*",
        "--Fanfare:Iam:Users:0:Policies:0:Resource=*",
        "--Fanfare:Iam:Users:1:Name=bo", "--Fanfare:Iam:Users:1:AccessKeyId=AKIDBO", "--Fanfare:Iam:Users:1:SecretAccessKey=secret",
        "--Fanfare:Iam:Users:2:Name=ana", "--Fanfare:Iam:Users:2:AccessKeyId=ASIACY", "--Fanfare:Iam:Users:2:SecretAccessKey=secret",
        "--Fanfare:Iam:Users:2:SessionToken=session//token==",
    ];

    private static Task<GatewayServer> StartAsync() => GatewayServer.StartWithTemplateAsync(s_template, s_users);

    private static ReferenceSigner Signer(string key, string secret) =>
        new() { AccessKeyId = key, Secret = secret, Region = "us-east-1", Time = DateTimeOffset.UtcNow };

    private static Handshake Connect(ReferenceSigner signer, string payload) =>
        Handshake.WithProtocols(Credentials.EventsProtocol, Credentials.HeaderProtocol(signer.SignObject(payload)));

    private static async Task<bool> HasAsync(string program, string first, string second, string mustContain)
    {
        try
        {
            return (await RunAsync(program, first, second)).Output.Contains(mustContain, StringComparison.Ordinal);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false; // there is no such program
        }
    }

    private static Task<(string Output, string Error)> RunAsync(string program, params string[] arguments) => Deadline.WaitAsync(
        async token =>
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            try
            {
                var output = process.StandardOutput.ReadToEndAsync(token);
                var error = process.StandardError.ReadToEndAsync(token);
                await process.WaitForExitAsync(token);
                return (await output, await error);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                throw;
            }
        },
        $"the end of {program}");
}
