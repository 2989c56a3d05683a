using System.Globalization;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;
using Microsoft.Extensions.Logging;

namespace Fanfare.Gateway.Tests.Wire;

/// <summary>Bodies of <c>POST /event</c> on the wire: how they are framed, and how large they may be.</summary>
public sealed class HttpBodyTests(SharedGateway gateway) : IClassFixture<SharedGateway>
{
    private const int MessageBytesMax = 3 * 1024 * 1024;

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(10_000)]
    public async Task Chunked_body_is_taken_whatever_its_chunks(int chunkBytes)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "\"é😀\""));

        await connection.SendAsync(Head("Transfer-Encoding: chunked"));
        foreach (var chunk in body.Chunk(chunkBytes))
        {
            await connection.SendAsync(Chunk(chunk));
        }

        await connection.SendAsync("0\r\n\r\n"u8.ToArray());
        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
    }

    [Theory]
    [InlineData("zz\r\n")]
    [InlineData("-1\r\n")]
    [InlineData("fffffffff\r\n{}\r\n")]
    [InlineData("ffffffffffffffffffffffff\r\n{}\r\n")]
    [InlineData("2\r\n{}zz")]
    public async Task Malformed_chunks_are_the_client_s_mistake(string chunks)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);

        await connection.SendAsync((byte[])[.. Head("Transfer-Encoding: chunked"), .. Encoding.Latin1.GetBytes(chunks)]);

        Assert.Equal(400, (await connection.ReadHeadAsync()).Status);
    }

    [Fact]
    public async Task Body_may_arrive_byte_by_byte()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1"));

        foreach (var part in Head($"Content-Length: {body.Length}").Concat(body).Chunk(1))
        {
            await connection.SendAsync(part);
        }

        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
    }

    [Fact]
    public async Task Client_that_asks_first_is_told_to_go_on()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1"));

        await connection.SendAsync(Head($"Content-Length: {body.Length}\r\nExpect: 100-continue"));
        Assert.Equal(100, (await connection.ReadHeadAsync("100 Continue")).Status);
        await connection.SendAsync(body);

        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
    }

    [Fact]
    public async Task Http_1_0_client_is_served()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var body = Messages.HttpBody("/default/a", "1");

        await connection.SendAsync(Encoding.Latin1.GetBytes(
            $"POST /event HTTP/1.0\r\nx-api-key: {Credentials.ApiKey}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));

        Assert.Equal(200, (await connection.ReadHeadAsync()).Status);
        await connection.ReadToEndAsync();
    }

    [Fact]
    public async Task Requests_may_be_pipelined()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);
        var body = Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1"));
        byte[] request = [.. Head($"Content-Length: {body.Length}"), .. body];

        await connection.SendAsync(Enumerable.Repeat(request, 20).SelectMany(bytes => bytes).ToArray());

        for (var index = 0; index < 20; index++)
        {
            var head = await connection.ReadHeadAsync($"answer {index + 1} of 20");
            Assert.Equal(200, head.Status);
            await connection.SkipBodyAsync(head);
        }
    }

    [Theory]
    [InlineData(MessageBytesMax - 1, 200)]
    [InlineData(MessageBytesMax, 200)]
    [InlineData(MessageBytesMax + 1, 413)]
    public async Task Body_has_a_limit_when_its_length_is_told(int bytes, int status)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);

        await connection.SendAsync(Head($"Content-Length: {bytes}"));
        await SendUntilRefusedAsync(connection, [PaddedBody(bytes)]);

        await AssertAnswerAsync(connection, status);
    }

    [Theory]
    [InlineData(MessageBytesMax, 200)]
    [InlineData(MessageBytesMax + 1, 413)]
    public async Task Body_has_a_limit_when_its_length_is_not_told(int bytes, int status)
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);

        await connection.SendAsync(Head("Transfer-Encoding: chunked"));
        await SendUntilRefusedAsync(connection, [.. PaddedBody(bytes).Chunk(60_000).Select(Chunk), "0\r\n\r\n"u8.ToArray()]);

        await AssertAnswerAsync(connection, status);
    }

    [Fact]
    public async Task Told_length_above_the_limit_is_refused_before_the_body_comes()
    {
        await using var connection = await RawConnection.OpenAsync(gateway.Server.EndPoint);

        await connection.SendAsync(Head("Content-Length: 999999999999"));

        await AssertAnswerAsync(connection, 413);
    }

    [Theory]
    [InlineData(999, 200)]
    [InlineData(1000, 200)]
    [InlineData(1001, 413)]
    public async Task Events_together_have_a_limit_of_their_own(int bytes, int status)
    {
        await using var server = await GatewayServer.StartAsync(
            "--Fanfare:Limits:PublishBytesMax=1000", "--Fanfare:Limits:EventBytesMax=900");

        var answer = await HttpPublisher.PostAsync(
            server, Messages.HttpBody("/default/a", Messages.EventOf(500), Messages.EventOf(bytes - 500)));

        if (status == 200)
        {
            PublishLimitsTests.AssertOutcome(answer.Json, [0, 1], []);
        }
        else
        {
            answer.AssertError(413, "RequestEntityTooLargeException");
        }
    }

    [Theory]
    [InlineData("reset")]
    [InlineData("end")]
    public async Task Client_that_leaves_in_the_middle_of_a_body_harms_nobody(string leaving)
    {
        await using var server = await GatewayServer.StartAsync();

        // Many times, since what the server makes of it depends on where it stands when the news arrives.
        for (var index = 0; index < 500; index++)
        {
            await using var leaver = await RawConnection.OpenAsync(server.EndPoint);
            await leaver.SendAsync((byte[])[.. Head("Content-Length: 500"), .. "{\"channel\":\"/default/a\",\"ev"u8]);
            if (leaving == "reset")
            {
                leaver.Abort();
                continue;
            }

            leaver.ShutdownSend();
            await leaver.ReadToEndAsync();
        }

        Assert.Equal(200, (await HttpPublisher.PostAsync(server, Messages.HttpBody("/default/a", "1"))).Status);
        var complaint = server.Log.Lines.FirstOrDefault(line => line.Level >= LogLevel.Warning).Text;
        Assert.True(complaint is null, complaint);
    }

    private static byte[] Head(string headers) => Encoding.Latin1.GetBytes(
        $"POST /event HTTP/1.1\r\nHost: localhost\r\nx-api-key: {Credentials.ApiKey}\r\n{headers}\r\n\r\n");

    private static byte[] Chunk(byte[] bytes) =>
        [.. Encoding.Latin1.GetBytes(bytes.Length.ToString("x", CultureInfo.InvariantCulture) + "\r\n"), .. bytes, .. "\r\n"u8];

    /// <summary>A good publish that is as long as asked because of white space at its end.</summary>
    private static byte[] PaddedBody(int bytes) => Encoding.UTF8.GetBytes(Messages.HttpBody("/default/a", "1").PadRight(bytes));

    private static async Task SendUntilRefusedAsync(RawConnection connection, IEnumerable<byte[]> parts)
    {
        try
        {
            foreach (var part in parts)
            {
                await connection.SendAsync(part);
            }
        }
        catch (System.Net.Sockets.SocketException)
        {
            // The server may stop reading once it has seen enough; its answer is what counts.
        }
    }

    private static async Task AssertAnswerAsync(RawConnection connection, int status)
    {
        var head = await connection.ReadHeadAsync();
        Assert.Equal(status, head.Status);
        if (status == 413)
        {
            Assert.Equal("RequestEntityTooLargeException", head.Header("x-amzn-errortype"));
            Assert.Equal("*", head.Header("Access-Control-Allow-Origin"));
        }
    }
}
