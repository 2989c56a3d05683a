using Fanfare.Gateway.Apis;

namespace Fanfare.Gateway.Tests.Apis;

public sealed class HandlerCodeTests
{
    [Theory]
    [InlineData("export function onSubscribe(ctx) {}", false, true)]
    [InlineData("export const onPublish = { request(ctx) {}, response(ctx) {} }", true, false)]
    [InlineData("function f() {} export { f as onPublish, f as onSubscribe }", true, true)]
    [InlineData("export function onpublish() {} // not the handler's name", false, false)]
    [InlineData("export function helper() {}", false, false)]
    [InlineData("", false, false)]
    // Escapes can spell any name.
    [InlineData("export function onPubl\\u0069sh() {}", true, true)]
    [InlineData("const f = () => {}; export { f as 'onPubl\\x69sh' }", true, true)]
    public void A_handler_that_the_text_could_name_is_taken_for_one(string code, bool publish, bool subscribe)
    {
        Assert.Equal(publish, HandlerCode.MayExport(code, HandlerCode.OnPublish));
        Assert.Equal(subscribe, HandlerCode.MayExport(code, HandlerCode.OnSubscribe));
    }

    [Fact]
    public void Without_code_there_is_no_handler() => Assert.False(HandlerCode.MayExport(null, HandlerCode.OnPublish));

    [Theory]
    [InlineData("export function onSubscribe(ctx) {}", false, true)]
    [InlineData("export function onPublish(ctx) {}", true, false)]
    [InlineData(null, false, false)]
    public void A_namespace_lets_through_what_no_handler_of_it_could_decide(string? code, bool publish, bool subscribe)
    {
        var ns = new ChannelNamespace { Name = "chat", Code = code };

        Assert.Equal(publish, ns.HandlesPublish);
        Assert.Equal(subscribe, ns.HandlesSubscribe);
    }
}
