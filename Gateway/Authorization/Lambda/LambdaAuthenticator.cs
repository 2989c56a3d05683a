using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Lambda;
using Fanfare.Gateway.Protocol;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Authorization.Lambda;

/// <summary><see cref="AuthMode.AwsLambda"/>: a function of the operator's judges the token and what it is used for.</summary>
/// <remarks>
/// <para>
/// A token's form is checked first, without the function. Then, once the namespace is known to take this mode: a kept answer decides;
/// else the function is asked, and its answer kept for as long as it or the API says. Where the API keeps answers, equal requests at
/// the same time share one call. Where it keeps none they do not, since a function may count on judging every request,
/// as one of tokens that are good once does; for the same reason an answer that says <c>ttlOverride: 0</c> is not shared.
/// </para>
/// <para>
/// A denial is <c>UnauthorizedException</c>. A function that crashed, took too long, cannot be reached or answered nonsense is
/// <c>AuthorizerFailureException</c>, with the error's text where the function gave one, and for a subscribe
/// <c>SubscriptionProcessingError</c>. Source: AppSync Events, "AWS_LAMBDA authorization" and its tables of errors.
/// </para>
/// </remarks>
internal sealed class LambdaAuthenticator(
    LambdaClient client, IOptions<GatewayOptions> options, TimeProvider timeProvider, ILogger<LambdaAuthenticator> logger) : IAuthenticator
{
    /// <summary>The greatest token that is looked at. AppSync documents 2,048 characters for GraphQL, which some providers' JWTs exceed.</summary>
    public const int TokenBytesMax = 8 * 1024;

    private const string FailureType = "AuthorizerFailureException";
    private static readonly ProtocolError s_failure = new(FailureType, "The authorizer function failed", 500);

    private readonly string _accountId = options.Value.AccountId;
    private readonly TimeSpan _timeout = options.Value.Lambda.AuthorizerTimeout;
    private readonly AuthorizerCache _cache = new(timeProvider);
    private readonly ConditionalWeakTable<Api, ConfiguredAuthorizer> _authorizers = [];
    private readonly ConcurrentDictionary<AuthorizerCacheKey, Task<Verdict>> _flights = new();

    /// <inheritdoc/>
    public AuthMode Mode => AuthMode.AwsLambda;

    /// <inheritdoc/>
    public ValueTask<AuthDecision> AuthenticateAsync(AuthRequest request, CancellationToken cancellationToken)
    {
        var token = request.Credentials.Authorization.Span;
        return new(token.Length is > 0 and <= TokenBytesMax && GetAuthorizer(request.Api.Model).Accepts(token)
            ? AuthDecision.Grant(identity: null)
            : AuthDecision.Refuse(ProtocolError.Unauthorized));
    }

    /// <inheritdoc/>
    public ValueTask<AuthDecision> PermitAsync(AuthRequest request, Identity? identity, CancellationToken cancellationToken)
    {
        var authorizer = GetAuthorizer(request.Api.Model);
        var key = AuthorizerCacheKey.Compute(
            authorizer.Number, request.Operation, request.Channel.Span, request.Credentials.Authorization.Span);
        if (_cache.Find(key) is { } known)
        {
            return new(AuthDecision.Grant(known));
        }

        return new(authorizer.Settings.ResultTtlSeconds == 0
            ? AskAloneAsync(authorizer, key, request, cancellationToken)
            : AskTogetherAsync(authorizer, key, request, cancellationToken));
    }

    private ConfiguredAuthorizer GetAuthorizer(Api api) =>
        _authorizers.GetValue(api, static api => new ConfiguredAuthorizer(
            api.AuthProviders.First(provider => provider.Mode == AuthMode.AwsLambda).LambdaAuthorizer!));

    private async Task<AuthDecision> AskAloneAsync(
        ConfiguredAuthorizer authorizer, AuthorizerCacheKey key, AuthRequest request, CancellationToken cancellationToken) =>
        (await AskAsync(authorizer, key, AuthorizerRequest.Encode(request, _accountId), cancellationToken)).ToDecision(request.Operation);

    private async Task<AuthDecision> AskTogetherAsync(
        ConfiguredAuthorizer authorizer, AuthorizerCacheKey key, AuthRequest request, CancellationToken cancellationToken)
    {
        var mine = new TaskCompletionSource<Verdict>(TaskCreationOptions.RunContinuationsAsynchronously);
        var flight = _flights.GetOrAdd(key, mine.Task);
        var isLeader = flight == mine.Task;
        if (isLeader)
        {
            // The answer is for everybody who asks meanwhile, so it does not end with the one who asked first.
            _ = FlyAsync(mine, authorizer, key, AuthorizerRequest.Encode(request, _accountId));
        }

        var verdict = await flight.WaitAsync(cancellationToken);
        return isLeader || verdict.IsShareable
            ? verdict.ToDecision(request.Operation)
            : await AskAloneAsync(authorizer, key, request, cancellationToken);
    }

    private async Task FlyAsync(
        TaskCompletionSource<Verdict> result, ConfiguredAuthorizer authorizer, AuthorizerCacheKey key, ReadOnlyMemory<byte> payload)
    {
        try
        {
            // A flight may have landed between the look at the cache and the start of this one.
            var verdict = _cache.Find(key) is { } known
                ? new Verdict(known, null, IsShareable: true)
                : await AskAsync(authorizer, key, payload, CancellationToken.None);
            _flights.TryRemove(key, out _);
            result.SetResult(verdict);
        }
        catch (Exception e)
        {
            // Whatever it is, it is those who wait that must see it.
            _flights.TryRemove(key, out _);
            result.SetException(e);
        }
    }

    private async Task<Verdict> AskAsync(
        ConfiguredAuthorizer authorizer, AuthorizerCacheKey key, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var result = await client.InvokeAsync(
            new LambdaInvocation(authorizer.Settings.AuthorizerUri, payload, _timeout) { IsRepeatable = true }, cancellationToken);
        if (result.Failure is { } failure)
        {
            ReportOnce(authorizer, failure);
            return new Verdict(null, failure.Kind == LambdaFailureKind.FunctionError && failure.ErrorMessage is { Length: > 0 } text
                ? new ProtocolError(FailureType, text, 500)
                : s_failure);
        }

        if (!AuthorizerAnswer.TryParse(result.Payload, out var answer))
        {
            AuthorizerLog.MalformedAnswer(logger, authorizer.Settings.AuthorizerUri);
            return new Verdict(null, s_failure);
        }

        if (answer.Identity is not { } identity)
        {
            return new Verdict(null, null);
        }

        var ttl = answer.Ttl ?? TimeSpan.FromSeconds(authorizer.Settings.ResultTtlSeconds);
        if (ttl > TimeSpan.Zero)
        {
            _cache.Store(key, identity, ttl);
        }

        return new Verdict(identity, null, IsShareable: ttl > TimeSpan.Zero);
    }

    private void ReportOnce(ConfiguredAuthorizer authorizer, LambdaFailure failure)
    {
        if (failure.Kind == LambdaFailureKind.NotConfigured && authorizer.TryReport())
        {
            AuthorizerLog.NotConfigured(
                logger, authorizer.Settings.AuthorizerUri, LambdaFunctionName.Parse(authorizer.Settings.AuthorizerUri).Name);
        }
    }

    /// <summary>What a call decided: an identity, or a failure, or neither, which is a denial.</summary>
    /// <param name="Identity">Who the request is from.</param>
    /// <param name="Failure">What went wrong.</param>
    /// <param name="IsShareable">Whether equal requests at the same time may use it: all but an allowance that must not be kept.</param>
    private sealed record Verdict(LambdaIdentity? Identity, ProtocolError? Failure, bool IsShareable = true)
    {
        public AuthDecision ToDecision(AuthOperation operation) =>
            Identity is not null ? AuthDecision.Grant(Identity)
            : Failure is null ? AuthDecision.Refuse(ProtocolError.Unauthorized)
            : AuthDecision.Refuse(operation == AuthOperation.Subscribe ? ProtocolError.SubscriptionFailed : Failure);
    }

    /// <summary>The authorizer of one API.</summary>
    private sealed class ConfiguredAuthorizer(LambdaAuthorizerSettings settings)
    {
        private static long s_lastNumber;

        private readonly OperatorPattern? _expression = string.IsNullOrEmpty(settings.IdentityValidationExpression)
            ? null
            : new OperatorPattern(settings.IdentityValidationExpression);

        private int _isReported;

        public LambdaAuthorizerSettings Settings { get; } = settings;

        /// <summary>Names this authorizer in cache keys; another model of the same API gets another number, and so no old answers.</summary>
        public long Number { get; } = Interlocked.Increment(ref s_lastNumber);

        public bool Accepts(ReadOnlySpan<byte> token) => _expression is null || _expression.IsFoundIn(Encoding.UTF8.GetString(token));

        public bool TryReport() => Interlocked.Exchange(ref _isReported, 1) == 0;
    }
}

/// <summary>What asking authorizer functions logs; their failures are logged by the client that calls them.</summary>
internal static partial class AuthorizerLog
{
    [LoggerMessage(65, LogLevel.Error,
        "Nothing says where the authorizer function '{Function}' is, so all its tokens are refused. Set Fanfare:Lambda:Functions:{Name} to its address.")]
    public static partial void NotConfigured(ILogger logger, string function, string name);

    [LoggerMessage(66, LogLevel.Warning,
        "The authorizer function '{Function}' answered with something other than an object of isAuthorized, handlerContext (texts) and ttlOverride (a number).")]
    public static partial void MalformedAnswer(ILogger logger, string function);
}
