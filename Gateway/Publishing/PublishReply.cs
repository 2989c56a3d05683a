using Fanfare.Gateway.Backplane;
using Fanfare.Gateway.Protocol;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Fanfare.Gateway.Publishing;

/// <summary>Encodes the answer to a publish that was taken: what became of each event.</summary>
internal static class PublishReply
{
    // {"identifier":"<36>","index":<n>}, and a little for what surrounds the items.
    private const int ItemLength = 70;
    private const int EnvelopeLength = 200;

    /// <summary>Encodes the body of the HTTP answer.</summary>
    public static PooledFrame EncodeBody(EventBatch events)
    {
        var builder = new FrameBuilder(EnvelopeLength + (events.Count * ItemLength));
        builder.Append("{\"failed\":["u8);
        AppendFailed(ref builder, events);
        builder.Append("],\"successful\":["u8);
        AppendSuccessful(ref builder, events);
        builder.Append("]}"u8);
        return builder.CompletePayload();
    }

    /// <summary>Encodes <c>publish_success</c>.</summary>
    public static PooledFrame EncodeSuccess(ReadOnlySpan<byte> id, EventBatch events)
    {
        var builder = new FrameBuilder(EnvelopeLength + (events.Count * ItemLength));
        builder.Append("{\"type\":\"publish_success\",\"id\":\""u8);
        builder.Append(id);
        builder.Append("\",\"successful\":["u8);
        AppendSuccessful(ref builder, events);
        builder.Append("],\"failed\":["u8);
        AppendFailed(ref builder, events);
        builder.Append("]}"u8);
        return builder.Complete(Opcode.Text);
    }

    private static void AppendSuccessful(ref FrameBuilder builder, EventBatch events)
    {
        var isFirst = true;
        for (var i = 0; i < events.Count; i++)
        {
            if (events.GetFailure(i) is null)
            {
                AppendItemStart(ref builder, events, i, ref isFirst);
                builder.Append("}"u8);
            }
        }
    }

    private static void AppendFailed(ref FrameBuilder builder, EventBatch events)
    {
        var isFirst = true;
        for (var i = 0; i < events.Count; i++)
        {
            if (events.GetFailure(i) is { } failure)
            {
                AppendItemStart(ref builder, events, i, ref isFirst);
                builder.Append(",\"code\":\""u8);
                builder.Append(JsonEncodedText.Encode(failure.Code, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
                builder.Append("\",\"message\":\""u8);
                builder.Append(JsonEncodedText.Encode(failure.Message, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
                builder.Append("\"}"u8);
            }
        }
    }

    private static void AppendItemStart(ref FrameBuilder builder, EventBatch events, int index, ref bool isFirst)
    {
        builder.Append(isFirst ? "{\"identifier\":\""u8 : ",{\"identifier\":\""u8);
        isFirst = false;
        builder.Append(events.GetIdentifier(index));
        builder.Append("\",\"index\":"u8);
        builder.Append(index);
    }
}
