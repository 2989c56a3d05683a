using System.Buffers;
using System.IO.Pipelines;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Authorization;
using Fanfare.Gateway.Observability;
using Fanfare.Gateway.Protocol;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;

namespace Fanfare.Gateway.Publishing;

/// <summary><c>POST /event</c>: publishes over HTTP, from anywhere, browsers included.</summary>
/// <remarks>Source: AppSync Events, "Publish via HTTP".</remarks>
internal sealed class PublishEndpoint(
    ApiDirectory apis, EventPublisher publisher, GatewayMetrics metrics, ApiLog log, IOptions<GatewayLimits> limits, TimeProvider timeProvider)
{
    private static readonly ProtocolError s_emptyBody = new("MalformedHttpRequestException", "Request body is empty.", 400);
    private static readonly ProtocolError s_malformedBody = new("BadRequestException", "The body must be a JSON object with a channel and events", 400);
    private static readonly ProtocolError s_methodNotAllowed = new("BadRequestException", "Only POST is supported", 405);
    private static readonly ProtocolError s_unknownPath = new("UnknownOperationException", "There is nothing at this path", 404);
    private static readonly ProtocolError s_failed = new("InternalFailureException", "The request could not be processed", 500);

    private readonly PublishErrors _errors = PublishErrors.ForHttp(limits.Value);
    private readonly int _bodyBytesMax = limits.Value.MessageBytesMax;
    private readonly ProtocolError _bodyTooLarge =
        new("RequestEntityTooLargeException", $"The body exceeds {limits.Value.MessageBytesMax} bytes", 413);

    /// <summary>Answers one request to <c>/event</c>.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var requestId = RandomUuid.Create();
        HttpReply.AddHeaders(context.Response.Headers, requestId);
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            AddPreflightHeaders(context.Response.Headers);
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return;
        }

        var began = timeProvider.GetTimestamp();
        var api = apis.Find(HostNames.WithoutPort(context.Request.Headers.Host));
        ProtocolError? error;
        try
        {
            error = await AnswerAsync(context, api, requestId);
        }
        catch (Exception e) when (IsPublisherGone(context, e))
        {
            // There is nobody to answer. The server's reader is left in the middle of a read and would trip over it if it went on
            // with the connection; that it must not, it learns from the abort and, of its own exceptions, by getting them back.
            context.Abort();
            if (e is BadHttpRequestException)
            {
                throw;
            }

            return;
        }
        catch (IOException e) when (!context.Response.HasStarted)
        {
            // The server reports a body that breaks HTTP as one of these, with or without a status.
            error = e is BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } ? _bodyTooLarge : s_malformedBody;
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            log.RequestFailed(e, requestId);
            error = s_failed;
        }

        try
        {
            if (error is not null)
            {
                await HttpReply.WriteErrorAsync(context.Response, error);
            }
        }
        catch (OperationCanceledException)
        {
            // The publisher hung up before the answer.
        }

        var elapsed = timeProvider.GetElapsedTime(began);
        api.Metrics.HttpAnswered(context.Response.StatusCode);
        metrics.RequestDuration.Record(elapsed.TotalSeconds, api.Metrics.Tags);
        log.HttpPublish(api, requestId, error, context.Response.StatusCode, elapsed);
    }

    /// <summary>Answers requests to paths that do not exist.</summary>
    public static Task HandleUnknownPathAsync(HttpContext context)
    {
        HttpReply.AddHeaders(context.Response.Headers, RandomUuid.Create());
        return HttpReply.WriteErrorAsync(context.Response, s_unknownPath);
    }

    // A reset can reach the read before the request counts as aborted. A body whose length was told can only end early or stop
    // coming, for which the server gives it up.
    private static bool IsPublisherGone(HttpContext context, Exception e) =>
        e is ConnectionResetException
        || (e is BadHttpRequestException && context.Request.ContentLength is not null)
        || (e is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested);

    private static void AddPreflightHeaders(IHeaderDictionary headers)
    {
        headers.AccessControlAllowMethods = "POST, OPTIONS";
        headers.AccessControlAllowHeaders =
            "authorization, content-type, x-api-key, x-amz-date, x-amz-security-token, x-amz-user-agent, x-amz-content-sha256";
        headers.AccessControlMaxAge = "86400";
    }

    private async Task<ProtocolError?> AnswerAsync(HttpContext context, ServedApi api, Guid requestId)
    {
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST, OPTIONS";
            return s_methodNotAllowed;
        }

        if (context.Request.ContentLength > _bodyBytesMax)
        {
            return _bodyTooLarge;
        }

        var reader = context.Request.BodyReader;
        if (await ReadBodyAsync(reader) is not { } body)
        {
            return _bodyTooLarge;
        }

        byte[]? rented = null;
        try
        {
            // Nearly every body arrives in one piece and is read where it lies.
            var json = body.IsSingleSegment ? body.First : (rented = CopyToRented(body)).AsMemory(0, (int)body.Length);
            api.Metrics.Received(json.Length);
            return await PublishAsync(context, api, requestId, json);
        }
        finally
        {
            reader.AdvanceTo(body.End);
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private async Task<ReadOnlySequence<byte>?> ReadBodyAsync(PipeReader reader)
    {
        while (true)
        {
            // Without the request's token: the server ends the read itself when the client is gone, and a read that was cancelled
            // midway leaves its reader in a state that the server then trips over.
            var result = await reader.ReadAsync(CancellationToken.None);
            if (result.Buffer.Length > _bodyBytesMax)
            {
                reader.AdvanceTo(result.Buffer.End);
                return null;
            }

            if (result.IsCompleted)
            {
                return result.Buffer;
            }

            reader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }

    private static byte[] CopyToRented(ReadOnlySequence<byte> body)
    {
        var rented = ArrayPool<byte>.Shared.Rent((int)body.Length);
        body.CopyTo(rented);
        return rented;
    }

    private async Task<ProtocolError?> PublishAsync(HttpContext context, ServedApi api, Guid requestId, ReadOnlyMemory<byte> json)
    {
        if (json.IsEmpty)
        {
            return s_emptyBody;
        }

        if (!System.Text.Unicode.Utf8.IsValid(json.Span) || !ClientMessage.TryParse(json, out var message))
        {
            return s_malformedBody;
        }

        var headers = context.Request.Headers;
        var sender = new PublishSender(
            Credentials.FromHeaders(headers),
            SignedContent.HttpPublish(json, context.Request.QueryString.Value?.TrimStart('?') ?? ""),
            new RequestOrigin(requestId.ToString(), context.Connection.RemoteIpAddress, headers));
        var result = await publisher.PublishAsync(api, message, sender, _errors, rate: null, out _, context.RequestAborted);
        if (result.Error is { } error)
        {
            return error;
        }

        var events = result.Events!;
        try
        {
            await HttpReply.WriteBodyAsync(context.Response, PublishReply.EncodeBody(events));
            return null;
        }
        finally
        {
            events.Release();
        }
    }
}
