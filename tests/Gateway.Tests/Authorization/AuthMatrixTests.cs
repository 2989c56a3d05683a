using System.Text.Json.Nodes;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Authorization;

/// <summary>Every mode in every operation, wherever an API or a namespace has a say in it, over real sockets.</summary>
/// <remarks>
/// Every row also shows what it means: an allowed publish is delivered to a subscriber in another mode, a refused one is not, and a
/// subscription that was refused gets nothing. Source: AppSync Events, "Authorization" and the tables of errors.
/// </remarks>
public sealed class AuthMatrixTests(AuthMatrixGateway gateway) : IClassFixture<AuthMatrixGateway>
{
    private static readonly Refusal s_unauthorized = new("UnauthorizedException", "You are not authorized to make this call.", 401);
    private static readonly Refusal s_notAllowed = new("UnauthorizedException", null, 403);
    private static readonly Refusal s_mismatch = new("BadRequestException", "signature mismatch", 400);
    private static readonly ClientOperation[] s_operations = Enum.GetValues<ClientOperation>();

    // A place, and how each operation ends there: connect, publish over HTTP, publish over WebSocket, subscribe. A connect has no
    // namespace, so no namespace changes how it ends; whether modes are allowed to publish or subscribe does not either.
    private static readonly (Place Place, Ending[] Endings)[] s_places =
    [
        (Place.AllowedEverything, [Ending.Allowed, Ending.Allowed, Ending.Allowed, Ending.Allowed]),
        (Place.NotAllowedToConnect, [Ending.Unauthorized, Ending.Allowed, Ending.Allowed, Ending.Allowed]),
        (Place.NotAllowedToPublish, [Ending.Allowed, Ending.NotAllowed, Ending.NotAllowed, Ending.Allowed]),
        (Place.NotAllowedToSubscribe, [Ending.Allowed, Ending.Allowed, Ending.Allowed, Ending.NotAllowed]),
        (Place.AllowedToPublishByTheNamespace, [Ending.Allowed, Ending.Allowed, Ending.Allowed, Ending.Allowed]),
        (Place.AllowedToSubscribeByTheNamespace, [Ending.Allowed, Ending.Allowed, Ending.Allowed, Ending.Allowed]),
        (Place.NotAllowedToPublishByTheNamespace, [Ending.Allowed, Ending.NotAllowed, Ending.NotAllowed, Ending.Allowed]),
        (Place.NotAllowedToSubscribeByTheNamespace, [Ending.Allowed, Ending.Allowed, Ending.Allowed, Ending.NotAllowed]),
        (Place.WithoutAProvider, [Ending.Unauthorized, Ending.Unauthorized, Ending.Unauthorized, Ending.Unauthorized]),
        (Place.WithoutTheNamespace, [Ending.Allowed, Ending.NotAllowed, Ending.NotAllowed, Ending.NotAllowed]),
    ];

    // Where each operation is not allowed: good credentials end there in a way that wrong ones must not.
    private static readonly (ClientOperation Operation, Place Place)[] s_closedPlaces =
    [
        (ClientOperation.Connect, Place.NotAllowedToConnect),
        (ClientOperation.PublishOverHttp, Place.NotAllowedToPublish),
        (ClientOperation.PublishOverHttp, Place.NotAllowedToPublishByTheNamespace),
        (ClientOperation.PublishOverHttp, Place.WithoutTheNamespace),
        (ClientOperation.PublishOverWebSocket, Place.NotAllowedToPublish),
        (ClientOperation.PublishOverWebSocket, Place.NotAllowedToPublishByTheNamespace),
        (ClientOperation.PublishOverWebSocket, Place.WithoutTheNamespace),
        (ClientOperation.Subscribe, Place.NotAllowedToSubscribe),
        (ClientOperation.Subscribe, Place.NotAllowedToSubscribeByTheNamespace),
        (ClientOperation.Subscribe, Place.WithoutTheNamespace),
    ];

    /// <summary>How an operation with good credentials ends.</summary>
    public enum Ending
    {
        Allowed,

        /// <summary>As with wrong credentials.</summary>
        Unauthorized,

        /// <summary>The credentials are good, and that is all.</summary>
        NotAllowed,
    }

    public static TheoryData<AuthMode, ClientOperation, Place, Ending> Rights { get; } =
    [
        .. from mode in AuthMatrixGateway.Modes
           from row in s_places
           from operation in s_operations
           select (mode, operation, row.Place, row.Endings[(int)operation]),
    ];

    public static TheoryData<BadCredential, ClientOperation> Wrong { get; } =
    [
        .. from kind in Enum.GetValues<BadCredential>()
           from operation in s_operations
           select (kind, operation),
    ];

    public static TheoryData<AuthMode, ClientOperation, Place> WrongWhereNotAllowed { get; } =
    [
        .. from mode in AuthMatrixGateway.Modes
           from row in s_closedPlaces
           select (mode, row.Operation, row.Place),
    ];

    public static TheoryData<AuthMode, ClientOperation> Expiring { get; } =
    [
        .. from mode in AuthMatrixGateway.Modes
           from operation in s_operations
           select (mode, operation),
    ];

    [Fact]
    public void Every_mode_has_a_row_for_every_operation_in_every_place()
    {
        // In numbers, so that a list that lost an entry does not agree with itself.
        Assert.Equal(5 * 4 * 10, Rights.Count);
        Assert.Equal(22 * 4, Wrong.Count);
        Assert.Equal(5 * 10, WrongWhereNotAllowed.Count);
        Assert.Equal(5 * 4, Expiring.Count);

        var rights = Rights.Select(row => row.Data).ToList();
        Assert.Equal(rights.Count, rights.Select(row => (row.Item1, row.Item2, row.Item3)).Distinct().Count());
        Assert.Equal(Enum.GetValues<Place>(), s_places.Select(row => row.Place));
        Assert.All(s_closedPlaces, row => Assert.NotEqual(
            Ending.Allowed, s_places.Single(place => place.Place == row.Place).Endings[(int)row.Operation]));
        foreach (var mode in AuthMatrixGateway.Modes)
        {
            foreach (var operation in s_operations)
            {
                var endings = rights.Where(row => row.Item1 == mode && row.Item2 == operation).Select(row => row.Item4).ToList();
                Assert.Contains(Ending.Allowed, endings);
                Assert.Contains(Ending.Unauthorized, endings);
                Assert.Equal(operation != ClientOperation.Connect, endings.Contains(Ending.NotAllowed));
                Assert.Contains(Enum.GetValues<BadCredential>(), kind => ModeOf(kind) == mode);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Rights))]
    public Task Good_credentials_go_as_far_as_their_mode_is_allowed(
        AuthMode mode, ClientOperation operation, Place place, Ending ending) => AssertAsync(
            gateway,
            operation,
            gateway.Find(place, mode),
            gateway.Good(mode),
            ending switch { Ending.Allowed => null, Ending.NotAllowed => s_notAllowed, _ => s_unauthorized },
            place == Place.WithoutTheNamespace ? null : AuthMatrixGateway.Neighbour(mode),
            AuthMatrixGateway.Neighbour(mode));

    [Theory]
    [MemberData(nameof(Wrong))]
    public Task Wrong_credentials_are_refused(BadCredential credential, ClientOperation operation)
    {
        var neighbour = AuthMatrixGateway.Neighbour(ModeOf(credential) ?? AuthMode.AwsLambda);
        var target = gateway.Find(Place.AllowedEverything, AuthMode.ApiKey);
        return AssertAsync(
            gateway, operation, target, gateway.Bad(credential), RefusalOf(credential, operation, target), neighbour, neighbour);
    }

    [Theory]
    [MemberData(nameof(WrongWhereNotAllowed))]
    public async Task Wrong_credentials_do_not_learn_what_their_mode_is_allowed(AuthMode mode, ClientOperation operation, Place place)
    {
        var (credential, refusal) = mode switch
        {
            AuthMode.ApiKey => (BadCredential.UnknownKey, s_unauthorized),
            AuthMode.AwsIam => (BadCredential.WrongSecret, s_mismatch),
            AuthMode.CognitoUserPools => (BadCredential.ForgedPoolToken, s_unauthorized),
            AuthMode.OpenIdConnect => (BadCredential.ForgedOpenIdToken, s_unauthorized),

            // The function judges what a token is used for, and so comes after the namespace: it is not asked.
            _ => (BadCredential.DeniedToken, operation == ClientOperation.Connect ? s_unauthorized : s_notAllowed),
        };
        var neighbour = AuthMatrixGateway.Neighbour(mode);
        var denials = gateway.DenialCount;
        await AssertAsync(
            gateway, operation, gateway.Find(place, mode), gateway.Bad(credential), refusal,
            place == Place.WithoutTheNamespace ? null : neighbour, neighbour);
        Assert.Equal(denials, gateway.DenialCount);
    }

    [Theory]
    [MemberData(nameof(Expiring))]
    public async Task Credentials_are_good_until_they_expire(AuthMode mode, ClientOperation operation)
    {
        await using var own = await AuthMatrixGateway.StartAsync();
        var target = own.Find(Place.AllowedEverything, mode);
        var fleeting = own.Fleeting(mode);
        if (fleeting.End is { } end)
        {
            // Allowed, and the allowance kept; from now on the function would say no.
            await AttemptAsync(refusal: null);
            end();
        }

        own.Clock.Advance(fleeting.LastGood - own.Clock.GetUtcNow());
        await AttemptAsync(refusal: null);
        own.Clock.Advance(TimeSpan.FromTicks(1));
        await AttemptAsync(mode switch
        {
            AuthMode.AwsIam => new("BadRequestException", "Signature expired", 400),
            AuthMode.CognitoUserPools or AuthMode.OpenIdConnect => new("UnauthorizedException", "Token has expired.", 401),
            _ => s_unauthorized,
        });

        Task AttemptAsync(Refusal? refusal)
        {
            var neighbour = AuthMatrixGateway.Neighbour(mode);
            return AssertAsync(own, operation, target, fleeting.Credential, refusal, neighbour, neighbour);
        }
    }

    [Theory]
    [InlineData(AuthMode.ApiKey)]
    [InlineData(AuthMode.AwsIam)]
    [InlineData(AuthMode.CognitoUserPools)]
    [InlineData(AuthMode.OpenIdConnect)]
    [InlineData(AuthMode.AwsLambda)]
    public async Task One_WebSocket_carries_messages_of_all_modes(AuthMode connection)
    {
        var targets = AuthMatrixGateway.Modes.Select(mode => gateway.Find(Place.AllowedEverything, mode)).ToList();
        await using var socket = await gateway.OpenAsync(targets[0], connection);
        foreach (var mode in AuthMatrixGateway.Modes)
        {
            await AuthMatrixGateway.SendSubscribeAsync(socket, $"{mode}", targets[(int)mode], gateway.Good(mode));
            await socket.NextAsync("subscribe_success", $"{mode}");
        }

        // Over the five rows of this test every mode publishes to every mode.
        foreach (var publisher in AuthMatrixGateway.Modes)
        {
            var subscriber = AuthMatrixGateway.Modes[((int)publisher + (int)connection) % AuthMatrixGateway.Modes.Count];
            var text = gateway.NextEvent();
            await AuthMatrixGateway.SendPublishAsync(socket, "p", targets[(int)subscriber], gateway.Good(publisher), text);

            // The order of the answer and the publisher's own event is not specified.
            JsonObject[] both = [await socket.NextAsync(), await socket.NextAsync()];
            Assert.Equal("p", (string?)Assert.Single(both, message => (string?)message["type"] == "publish_success")["id"]);
            var data = Assert.Single(both, message => (string?)message["type"] == "data");
            Assert.Equal(($"{subscriber}", text), ((string?)data["id"], (string?)data["event"]));
        }

        await socket.AssertNothingElseAsync();
    }

    /// <summary>The mode that wrong credentials are of; <see langword="null"/> where they are of none.</summary>
    private static AuthMode? ModeOf(BadCredential credential) => credential switch
    {
        BadCredential.None => null,
        BadCredential.UnknownKey or BadCredential.KeyOfAnotherApi or BadCredential.KeyInCapitals => AuthMode.ApiKey,
        >= BadCredential.WrongSecret and <= BadCredential.SignatureWithoutPermission => AuthMode.AwsIam,
        >= BadCredential.ForgedPoolToken and <= BadCredential.PoolTokenOfTheFuture => AuthMode.CognitoUserPools,
        >= BadCredential.ForgedOpenIdToken and <= BadCredential.OpenIdTokenOfTheFuture => AuthMode.OpenIdConnect,
        _ => AuthMode.AwsLambda, // a token of no known issuer among them
    };

    private static Refusal RefusalOf(BadCredential credential, ClientOperation operation, Target target) => (credential, operation) switch
    {
        (BadCredential.WrongSecret or BadCredential.SignatureOfAnotherPayload, _) => s_mismatch,
        (BadCredential.SignatureOfAnotherRegion, _) =>
            new("BadRequestException", "The credential must be scoped to us-east-1/appsync", 400),
        (BadCredential.SignatureOfThePast, _) => new("BadRequestException", "Signature expired", 400),
        (BadCredential.SignatureOfTheFuture, _) => new("BadRequestException", "Signature not yet current", 400),
        (BadCredential.MalformedSignature, _) => new(
            "BadRequestException", "The Authorization must be AWS4-HMAC-SHA256 with Credential, sorted SignedHeaders and Signature", 400),
        (BadCredential.SignatureWithoutPermission, ClientOperation.PublishOverHttp) => new(
            "AccessDeniedException",
            "User: arn:aws:iam::000000000000:user/bo is not authorized to perform: appsync:EventPublish on resource: "
                + $"arn:aws:appsync:us-east-1:000000000000:apis/{target.ApiId}/channelNamespace/{target.Namespace}",
            403),
        (BadCredential.SignatureWithoutPermission, _) => s_notAllowed,
        (BadCredential.TokenThatCrashesTheFunction, ClientOperation.Subscribe) =>
            new("SubscriptionProcessingError", "There was an error processing the operation", 500),
        (BadCredential.TokenThatCrashesTheFunction, _) => new("AuthorizerFailureException", "the text it threw", 500),
        _ => s_unauthorized,
    };

    /// <summary>Does one operation and asserts what the client is told and what comes of it.</summary>
    /// <param name="gateway">The gateway.</param>
    /// <param name="operation">What is done.</param>
    /// <param name="target">Where.</param>
    /// <param name="credential">With which credentials.</param>
    /// <param name="refusal">What the client is told, or <see langword="null"/> where it is allowed.</param>
    /// <param name="witness">A mode that may publish and subscribe there; <see langword="null"/> where none may.</param>
    /// <param name="opener">A mode that may connect.</param>
    private static Task AssertAsync(
        AuthMatrixGateway gateway, ClientOperation operation, Target target, Credential credential, Refusal? refusal,
        AuthMode? witness, AuthMode opener) => operation switch
        {
            ClientOperation.Connect => AssertConnectAsync(gateway, target, credential, refusal),
            ClientOperation.PublishOverHttp => AssertPublishAsync(
                gateway, target, witness, refusal, async text => AssertAnswer(await gateway.PostAsync(target, credential, text), refusal)),
            ClientOperation.PublishOverWebSocket => AssertPublishAsync(gateway, target, witness, refusal, async text =>
            {
                await using var socket = await gateway.OpenAsync(target, opener);
                await AuthMatrixGateway.SendPublishAsync(socket, "p", target, credential, text);
                AssertReply(await socket.NextAsync("an answer to the publish"), "publish", "p", refusal);
                await socket.AssertNothingElseAsync();
            }),
            _ => AssertSubscribeAsync(gateway, target, credential, refusal, witness, opener),
        };

    private static async Task AssertConnectAsync(AuthMatrixGateway gateway, Target target, Credential credential, Refusal? refusal)
    {
        await using var socket = await gateway.OpenAsync(target, credential);
        if (refusal is null)
        {
            await socket.InitAsync();
            await socket.AssertNothingElseAsync();
            return;
        }

        await socket.SendAsync(Messages.Init);
        var message = await socket.NextAsync("connection_error");
        var error = WireError.AssertReply(message, "connection_error", null, refusal.ErrorType);
        Assert.Equal(["type", "errors"], message.Select(member => member.Key));
        Assert.Equal((refusal.Status, refusal.Message), (error.ErrorCode, error.Message));
        await socket.AssertClosedAsync(1000);
    }

    private static async Task AssertPublishAsync(
        AuthMatrixGateway gateway, Target target, AuthMode? witness, Refusal? refusal, Func<string, Task> publishAsync)
    {
        var text = gateway.NextEvent();
        if (witness is not { } mode)
        {
            await publishAsync(text);
            return;
        }

        await using var subscriber = await gateway.OpenAsync(target, mode);
        await AuthMatrixGateway.SendSubscribeAsync(subscriber, "w", target, gateway.Good(mode));
        await subscriber.NextAsync("subscribe_success", "w");

        await publishAsync(text);
        if (refusal is null)
        {
            Assert.Equal(text, await subscriber.NextEventAsync("w"));
        }

        // Had the refused event been delivered, it would come first.
        var marker = gateway.NextEvent();
        AssertAnswer(await gateway.PostAsync(target, gateway.Good(mode), marker), refusal: null);
        Assert.Equal(marker, await subscriber.NextEventAsync("w"));
    }

    private static async Task AssertSubscribeAsync(
        AuthMatrixGateway gateway, Target target, Credential credential, Refusal? refusal, AuthMode? witness, AuthMode opener)
    {
        await using var socket = await gateway.OpenAsync(target, opener);
        await AuthMatrixGateway.SendSubscribeAsync(socket, "s", target, credential);
        AssertReply(await socket.NextAsync("an answer to the subscribe"), "subscribe", "s", refusal);
        await socket.AssertNothingElseAsync();
        if (witness is not { } mode)
        {
            return;
        }

        // After a refusal the same connection subscribes in another mode; had the first taken effect, its events came in between.
        var id = "s";
        if (refusal is not null)
        {
            id = "w";
            await AuthMatrixGateway.SendSubscribeAsync(socket, id, target, gateway.Good(mode));
            await socket.NextAsync("subscribe_success", id);
        }

        foreach (var text in (string[])[gateway.NextEvent(), gateway.NextEvent()])
        {
            AssertAnswer(await gateway.PostAsync(target, gateway.Good(mode), text), refusal: null);
            Assert.Equal(text, await socket.NextEventAsync(id));
        }
    }

    private static void AssertAnswer(HttpAnswer answer, Refusal? refusal)
    {
        if (refusal is not null)
        {
            answer.AssertError(refusal.Status, refusal.ErrorType, refusal.Message);
            return;
        }

        Assert.True(answer.Status == 200, $"expected 200, got {answer.Status}: {answer.Body}");
        Assert.Null(answer.Header("x-amzn-errortype"));
        AssertPublished(answer.Json);
    }

    private static void AssertReply(JsonObject message, string operation, string id, Refusal? refusal)
    {
        if (refusal is not null)
        {
            var error = WireError.AssertReply(message, $"{operation}_error", id, refusal.ErrorType);
            Assert.Equal(["type", "id", "errors"], message.Select(member => member.Key));
            Assert.Equal((refusal.Message, null), (error.Message, error.ErrorCode));
            return;
        }

        Assert.True((string?)message["type"] == $"{operation}_success", $"expected {operation}_success, got {message.ToJsonString()}");
        Assert.Equal(id, (string?)message["id"]);
        if (operation == "publish")
        {
            AssertPublished(message);
        }
    }

    private static void AssertPublished(JsonObject answer)
    {
        Assert.Empty(answer["failed"]!.AsArray());
        Assert.Equal(0, (int?)Assert.Single(answer["successful"]!.AsArray())!["index"]);
    }
}
