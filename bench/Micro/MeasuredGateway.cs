using System.Collections.Frozen;
using System.Net;
using System.Text;
using Fanfare.Gateway;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Fanfare.Gateway.Publishing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Fanfare.Micro;

/// <summary>A gateway put together as in production, which listens nowhere: messages go in where a connection would hand them over.</summary>
internal sealed class MeasuredGateway : IAsyncDisposable
{
    /// <summary>The namespace that is published to.</summary>
    public const string Namespace = "orders";

    private const string ApiId = "abcdefghijklmnopqrstuvwxyz";

    private readonly string _data = Directory.CreateTempSubdirectory("fanfare-micro-").FullName;
    private readonly WebApplication _application;
    private readonly Authorizer _authorizer;
    private readonly EventPublisher _publisher;
    private readonly PublishErrors _errors;
    private readonly ServedApi _api;

    // What a connection keeps: made once, at its upgrade.
    private readonly AuthorizationMemo _memo = new(TimeProvider.System);
    private readonly RequestOrigin _origin = new("request", IPAddress.Parse("192.0.2.7"), new HeaderDictionary { ["host"] = "localhost:8080" });

    /// <param name="settings">Settings as on the command line.</param>
    /// <param name="authentication">The API's one provider.</param>
    /// <param name="keys">The API's keys.</param>
    public MeasuredGateway(string[] settings, AuthProvider authentication, params string[] keys)
    {
        // Handlers are looked up by the namespaces that are served, so the API has to be one of them.
        _application = GatewayApplication.Create(
            ["--data", _data, "--Fanfare:Region=eu-west-1", "--Fanfare:AccountId=123456789012", .. settings],
            services => services
                .AddLogging(logging => logging.ClearProviders())
                .AddSingleton(provider => new ApiDirectory([CreateApi(provider, authentication, keys)])));
        var services = _application.Services;
        _authorizer = services.GetRequiredService<Authorizer>();
        _publisher = services.GetRequiredService<EventPublisher>();
        _errors = PublishErrors.ForWebSocket(services.GetRequiredService<IOptions<GatewayLimits>>().Value);
        _api = services.GetRequiredService<ApiDirectory>().Default;
    }

    /// <summary>Puts a publish together as clients send it.</summary>
    /// <param name="content">Channel and events, as <c>"channel":"…","events":[…]</c>.</param>
    /// <param name="authorization">The authorization object.</param>
    public static byte[] Message(string content, string authorization) => Encoding.UTF8.GetBytes(
        $$"""{"type":"publish","id":"5d0c9f5e-6ad9-4c2b-9a0e-1f1f3d0f4a77",{{content}},"authorization":{{authorization}}}""");

    /// <summary>Parses the authorization object of a publish and authorizes it.</summary>
    public ValueTask<AuthDecision> AuthorizeAsync(in ClientMessage message) =>
        Credentials.TryParse(message.Authorization, out var credentials)
            ? _authorizer.AuthorizeAsync(
                new AuthRequest
                {
                    Api = _api,
                    Operation = AuthOperation.Publish,
                    Namespace = _api.FindNamespace(Namespace),
                    Channel = message.Channel!.Value,
                    Credentials = credentials,
                    Content = SignedContent.Message(message.ChannelToken, message.Events),
                    Origin = _origin,
                },
                CancellationToken.None)
            : throw Invalid();

    /// <summary>Does all that a connection does with the text of a publish, up to the encoded answer; returns the answer's length.</summary>
    public async ValueTask<int> PublishAsync(ReadOnlyMemory<byte> text)
    {
        if (!ClientMessage.TryParse(text, out var message) || !_memo.TryParse(message.Authorization, out var credentials))
        {
            throw Invalid();
        }

        var sender = new PublishSender(credentials, SignedContent.Message(message.ChannelToken, message.Events), _origin, _memo);
        var result = await _publisher.PublishAsync(_api, message, sender, _errors, rate: null, out _, CancellationToken.None);
        if (result.Events is not { } events)
        {
            throw new InvalidOperationException($"Refused: {result.Error?.Message}");
        }

        var reply = PublishReply.EncodeSuccess(message.Id.Span, events);
        events.Release();
        reply.Return();
        return reply.Length;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        Directory.Delete(_data, recursive: true);
    }

    private static ServedApi CreateApi(IServiceProvider services, AuthProvider authentication, string[] keys)
    {
        var modes = authentication.Mode.ToSet();
        return new ServedApi(
            new Api
            {
                Id = ApiId,
                Name = "measured",
                HttpHost = "localhost:8080",
                RealtimeHost = "localhost:8080",
                AuthProviders = [authentication],
                ConnectionModes = modes,
                DefaultPublishModes = modes,
                DefaultSubscribeModes = modes,
                Namespaces = new[] { new ChannelNamespace { Name = Namespace } }.ToFrozenDictionary(ns => ns.Name),
                Keys = [.. keys.Select(key => new ApiKey { Hash = ApiKey.ComputeHash(key) })],
            },
            services.GetRequiredService<IOptions<GatewayOptions>>().Value,
            services.GetRequiredService<GatewayMetrics>(),
            TimeProvider.System);
    }

    // What is refused costs something else, so figures of it would mislead.
    private static InvalidOperationException Invalid() => new("The publish was refused; nothing is measured.");
}
