using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Starting;

/// <summary>TLS is Kestrel's own, set by Kestrel's own settings.</summary>
public sealed class TlsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_certificate_in_PEM_serves_https_and_wss()
    {
        var thumbprint = WriteCertificate();
        await using var gateway = GatewayRun.Start(
            _folder.Path, "--api-key", Credentials.ApiKey,
            "--Kestrel:Endpoints:Tls:Url=https://127.0.0.1:0",
            $"--Kestrel:Endpoints:Tls:Certificate:Path={_folder["certificate.pem"]}",
            $"--Kestrel:Endpoints:Tls:Certificate:KeyPath={_folder["key.pem"]}");
        var address = await gateway.WaitUntilListeningAsync();
        Assert.Equal("https", address.Scheme);
        Assert.StartsWith("wss://", await gateway.WaitForLineAsync(@"^  WebSocket  (\S+)$"), StringComparison.Ordinal);

        using var socket = new ClientWebSocket();
        socket.Options.RemoteCertificateValidationCallback = (_, certificate, _, _) => Is(certificate, thumbprint);
        socket.Options.AddSubProtocol(Credentials.EventsProtocol);
        socket.Options.AddSubProtocol(Credentials.HeaderProtocol(Credentials.KeyAuthorization()));
        await Deadline.WaitAsync(
            async token => await socket.ConnectAsync(new Uri($"wss://{address.Authority}/event/realtime"), token), "a wss connection");
        await SendAsync(socket, Messages.Subscribe("s", "/default/tls"));
        Assert.Equal("""{"type":"subscribe_success","id":"s"}""", await ReceiveAsync(socket));

        using var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => Is(certificate, thumbprint);
        using var client = new HttpClient(handler);
        client.DefaultRequestHeaders.Add("x-api-key", Credentials.ApiKey);
        using var body = new StringContent(Messages.HttpBody("/default/tls", "1"), Encoding.UTF8, "application/json");
        using var answer = await Deadline.WaitAsync(
            async token => await client.PostAsync(new Uri(address, "/event"), body, token), "an answer over https");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("""{"type":"data","id":"s","event":"1"}""", await ReceiveAsync(socket));
    }

    private static bool Is(X509Certificate? certificate, string thumbprint) => certificate?.GetCertHashString() == thumbprint;

    private static Task SendAsync(ClientWebSocket socket, string text) => Deadline.WaitAsync(
        token => socket.SendAsync(Encoding.UTF8.GetBytes(text).AsMemory(), WebSocketMessageType.Text, true, token), "room to send");

    private static async Task<string> ReceiveAsync(ClientWebSocket socket)
    {
        var buffer = new byte[1024];
        var result = await Deadline.WaitAsync(token => socket.ReceiveAsync(buffer.AsMemory(), token), "a message over wss");
        Assert.True(result.EndOfMessage);
        return Encoding.UTF8.GetString(buffer, 0, result.Count);
    }

    private string WriteCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=fanfare-test", key, HashAlgorithmName.SHA256);
        var now = DateTimeOffset.UtcNow;
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        _folder.Write("certificate.pem", certificate.ExportCertificatePem());
        _folder.Write("key.pem", key.ExportPkcs8PrivateKeyPem());
        return certificate.GetCertHashString();
    }
}
